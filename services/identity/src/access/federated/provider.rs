//! What is said to a provider, and what is believed of its answers.

use std::{sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::DateTime;
use kernel::{Error, ErrorCode, Instant, Result, Vault};
use moka::future::Cache;
use openidconnect::{
    AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    TokenResponse,
    core::{
        CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm,
        CoreProviderMetadata,
    },
};
use serde::Deserialize;
use tokio::time::timeout;

/// A provider that has not answered everything by then is away.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long what a provider says of itself is believed; its keys are read again when none fits.
const BELIEVED: Duration = Duration::from_secs(300);
/// A provider proves its word by its own key, never by a secret that we share.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 8] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What binds one attempt: all derived from its state, so that nothing secret is kept meanwhile.
pub struct Attempt {
    pub state: String,
    pub nonce: String,
    pub verifier: String,
}

impl Attempt {
    pub fn of(vault: &Vault, state: String) -> Attempt {
        let derived = |purpose| BASE64_URL_SAFE_NO_PAD.encode(vault.index(purpose, &state));
        Attempt { nonce: derived("federated nonce"), verifier: derived("federated verifier"), state }
    }
}

/// Somebody whose word the exchange takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// By which clients name it, and with which the logins of its people begin.
    pub name: String,
    /// Its issuer identifier, below which its configuration is found.
    pub issuer: IssuerUrl,
    /// What it calls us.
    pub client_id: ClientId,
    /// By which it knows us; public clients have none.
    pub client_secret: Option<ClientSecret>,
    /// Where it sends the browser back to: a page of the front end.
    pub redirect_url: RedirectUrl,
}

/// What a provider says of somebody.
pub struct Voucher {
    pub issuer: String,
    pub subject: String,
    pub name: Option<String>,
    pub second_factor: bool,
}

/// The providers as they describe themselves.
pub struct Directory {
    http: reqwest::Client,
    known: Cache<String, Arc<CoreProviderMetadata>>,
}

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

impl Directory {
    pub fn new() -> Directory {
        // A redirect could lead anywhere inside our own network.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(5));
        let known = Cache::builder().max_capacity(100).time_to_live(BELIEVED).build();
        Directory { http: http.build().unwrap_or_default(), known }
    }

    /// Where to send the browser.
    pub async fn authorization_url(&self, provider: &Provider, attempt: &Attempt) -> Result<String> {
        let client = in_time(self.client(provider)).await?;
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let (state, nonce) = (attempt.state.clone(), attempt.nonce.clone());
        let (url, ..) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || CsrfToken::new(state), || Nonce::new(nonce))
            .add_scope(Scope::new("profile".into()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url.into())
    }

    /// What the provider says of whoever brought the code.
    pub async fn voucher(&self, provider: &Provider, attempt: &Attempt, code: String, now: Instant) -> Result<Voucher> {
        in_time(self.ask(provider, attempt, code, now)).await
    }

    async fn ask(&self, provider: &Provider, attempt: &Attempt, code: String, now: Instant) -> Result<Voucher> {
        let client = self.client(provider).await?;
        let token = self.id_token(&client, attempt, code).await?;
        let nonce = Nonce::new(attempt.nonce.clone());
        match claims(&client, &token, &nonce, now) {
            Ok(claims) => Ok(Voucher::of(claims)),
            Err(ClaimsVerificationError::SignatureVerification(_)) => {
                // It may have changed its keys since.
                self.known.invalidate(&provider.name).await;
                let client = self.client(provider).await?;
                let again = claims(&client, &token, &nonce, now).map(Voucher::of);
                again.map_err(|error| doubted(provider, &error))
            }
            Err(error) => Err(doubted(provider, &error)),
        }
    }

    async fn id_token(&self, client: &Client, attempt: &Attempt, code: String) -> Result<CoreIdToken> {
        let exchange = client.exchange_code(AuthorizationCode::new(code)).map_err(away)?;
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        match exchange.set_pkce_verifier(verifier).request_async(&self.http).await {
            Ok(reply) => reply.id_token().cloned().ok_or_else(|| away("a reply without an ID token")),
            Err(RequestTokenError::ServerResponse(_)) => Err(ErrorCode::BadCredentials.into()),
            Err(error) => Err(away(error)),
        }
    }

    async fn client(&self, provider: &Provider) -> Result<Client> {
        let discover = async {
            let found = CoreProviderMetadata::discover_async(provider.issuer.clone(), &self.http).await;
            found.map(Arc::new).map_err(away)
        };
        let known = self.known.try_get_with(provider.name.clone(), discover).await.map_err(|error| (*error).clone())?;
        let (id, secret) = (provider.client_id.clone(), provider.client_secret.clone());
        let client = CoreClient::from_provider_metadata((*known).clone(), id, secret);
        Ok(client.set_redirect_uri(provider.redirect_url.clone()))
    }
}

fn claims(
    client: &Client,
    token: &CoreIdToken,
    nonce: &Nonce,
    now: Instant,
) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
    let time = DateTime::from_timestamp_millis(now.0).unwrap_or_default();
    let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS).set_time_fn(move || time);
    token.claims(&verifier, nonce).cloned()
}

impl Voucher {
    fn of(claims: CoreIdTokenClaims) -> Voucher {
        let methods = claims.auth_method_refs().into_iter().flatten();
        let class = claims.auth_context_ref().map(|class| class.rsplit([':', '/']).next().unwrap_or_default());
        let second_factor = methods.map(|method| method.as_str()).chain(class).any(is_second_factor);
        let name = claims.name().and_then(|name| name.get(None)).map(|name| name.as_str().to_owned());
        let (issuer, subject) = (claims.issuer().as_str().to_owned(), claims.subject().as_str().to_owned());
        Voucher { issuer, subject, name, second_factor }
    }
}

/// RFC 8176: several factors, or a one-time password beside the first.
fn is_second_factor(method: &str) -> bool {
    matches!(method, "mfa" | "otp")
}

async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(away("no answer in time")))
}

fn away(error: impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("sign-in provider: {error}"))
}

fn doubted(provider: &Provider, error: &ClaimsVerificationError) -> Error {
    tracing::warn!(provider = provider.name, %error, "an ID token is not believed");
    ErrorCode::BadCredentials.into()
}
