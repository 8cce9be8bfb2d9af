// npm `openid-client` as a backend service uses it: one JSON object on stdin configures it, one on stdout is what came of it.
import { webcrypto } from "node:crypto";
import { text } from "node:stream/consumers";
import * as client from "openid-client";

const ALGORITHMS = { ES384: { name: "ECDSA", namedCurve: "P-384" }, RS384: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-384" } };

const { issuer, client_id, jwk, scope, url } = JSON.parse(await text(process.stdin));
const key = await webcrypto.subtle.importKey("jwk", jwk, ALGORITHMS[jwk.alg], false, ["sign"]);
const config = await client.discovery(new URL(issuer), client_id, undefined, client.PrivateKeyJwt({ key, kid: jwk.kid }), {
  execute: [client.allowInsecureRequests], // the server of a test has no certificate
});
const token = await client.clientCredentialsGrant(config, { scope });
const read = await (await client.fetchProtectedResource(config, token.access_token, new URL(url), "GET")).json();
const active = await client.tokenIntrospection(config, token.access_token);
await client.tokenRevocation(config, token.access_token);
const revoked = await client.tokenIntrospection(config, token.access_token);
console.log(JSON.stringify({ token, read, active, revoked }));
