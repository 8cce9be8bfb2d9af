// npm `openid-client` as an app uses it: one JSON object on each line of stdin is what the test has for it, each line of stdout
// is what came of it. The first line configures it, the second one has the URL at which the browser came back.
import { createInterface } from "node:readline/promises";
import * as client from "openid-client";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const heard = async () => JSON.parse((await lines.next()).value);
const say = (value) => console.log(JSON.stringify(value));
const failure = async (promise) => promise.then(() => "", (error) => error.error ?? error.cause?.[0]?.parameters?.error ?? error.message);

const { issuer, initialAccessToken, redirect_uri, scope, aud } = await heard();
const metadata = {
  client_name: "Portal", redirect_uris: [redirect_uri], grant_types: ["authorization_code", "refresh_token"],
  token_endpoint_auth_method: "client_secret_basic",
};
const config = await client.dynamicClientRegistration(new URL(issuer), metadata, undefined, {
  initialAccessToken, execute: [client.allowInsecureRequests], // the server of a test has no certificate
});
const verifier = client.randomPKCECodeVerifier();
const [state, nonce] = [client.randomState(), client.randomNonce()];
say({
  url: client.buildAuthorizationUrl(config, {
    redirect_uri, scope, aud, state, nonce, max_age: "600",
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
  }),
});

const back = new URL((await heard()).url);
client.enableNonRepudiationChecks(config); // verifies the signature of the id token by the keys at jwks_uri
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge: 600 };
const first = await client.authorizationCodeGrant(config, back, { ...checks, idTokenExpected: true });
const claims = first.claims();
const userinfo = await client.fetchUserInfo(config, first.access_token, claims.sub);
const patient = await client.fetchProtectedResource(config, first.access_token, new URL(`${aud}/Patient/${first.patient}`), "GET");
const second = await client.refreshTokenGrant(config, first.refresh_token);
const active = await client.tokenIntrospection(config, second.access_token);
await client.tokenRevocation(config, second.refresh_token);
const revoked = await client.tokenIntrospection(config, second.access_token);
say({
  client_id: config.clientMetadata().client_id, first, claims, userinfo, second, active, revoked,
  read: await patient.json(),
  refused: await failure(client.refreshTokenGrant(config, second.refresh_token)),
  refusedCode: await failure(client.authorizationCodeGrant(config, back, checks)),
  refusedUser: await failure(client.fetchUserInfo(config, second.access_token, claims.sub)),
  out: client.buildEndSessionUrl(config, { id_token_hint: first.id_token, post_logout_redirect_uri: redirect_uri, state: "bye" }),
});
process.exit();
