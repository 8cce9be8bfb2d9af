#!/bin/bash
# Entry point of the mongo service of compose.yaml: makes passwords and the member key once, then starts mongod with them.
# The volume /secrets keeps them; /login holds what the server needs, its connection string as a secret file.
set -euo pipefail
umask 077

chmod 755 /secrets /login
for user in admin app; do
  [ -s "/secrets/$user" ] || head -c 24 /dev/urandom | base64 -w 0 | tr '+/' '-_' > "/secrets/$user"
done
[ -s /secrets/key ] || head -c 384 /dev/urandom | base64 -w 0 > /secrets/key
chown mongodb:mongodb /secrets/key
printf 'mongodb://app:%s@127.0.0.1:27017/?replicaSet=aquifer&authSource=admin' "$(cat /secrets/app)" \
  > /login/fhir_mongo__url
chown 10001 /login/fhir_mongo__url

exec docker-entrypoint.sh mongod --replSet aquifer --bind_ip_all --auth --keyFile /secrets/key \
  --networkMessageCompressors snappy,zstd
