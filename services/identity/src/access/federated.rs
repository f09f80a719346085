//! Sign-in by somebody else's word: a government or campus account (OpenID Connect). The exchange is the relying party:
//! authorization code with PKCE, a state that works once, a nonce; the ID token's signature, issuer, audience, nonce and
//! time are the library's to check.

pub mod provider;

use data_encoding::BASE32_NOPAD;
use kernel::{Actor, Call, Error, ErrorCode, Id, Result, text};
use serde_json::json;
use wire::{id::PersonId, v1};

use self::provider::{Attempt, Provider, Voucher};
use crate::{
    access::{login_attempts::Guess, session, sign_in, token},
    identities::Identities,
    store::{self as people, federated as store},
};

/// How long an attempt may take.
const ATTEMPT_SECONDS: i64 = 600;
/// Characters of a login that come of the subject: 80 bits.
const LOGIN_LENGTH: usize = 16;

/// Whom the exchange takes at their word.
pub fn providers(identities: &Identities) -> v1::SignInProviders {
    let told = |provider: &Provider| v1::SignInProvider {
        name: provider.name.clone(),
        issuer: provider.issuer.as_str().to_owned(),
    };
    v1::SignInProviders { items: identities.entrance.providers.iter().map(told).collect() }
}

/// Begins an attempt.
pub async fn start(identities: &Identities, input: v1::StartFederatedSignInInput) -> Result<v1::FederatedSignIn> {
    let cx = &identities.cx;
    let provider = named(identities, &input.provider).ok_or_else(|| Error::not_found("provider"))?;
    let (state, state_hash) = token::fresh_secret()?;
    let attempt = Attempt::of(&cx.vault, state);
    let authorization_url = identities.directory.authorization_url(provider, &attempt).await?;
    let now = cx.clock.now();
    let tx = cx.db.begin().await?;
    store::forget_attempts(&tx, now).await?;
    store::insert_attempt(&tx, state_hash, &provider.name, now.plus_seconds(ATTEMPT_SECONDS)).await?;
    tx.commit().await?;
    Ok(v1::FederatedSignIn { authorization_url, state: attempt.state })
}

/// Ends an attempt with what the browser brought back.
pub async fn finish(
    identities: &Identities,
    address: &str,
    input: v1::FinishFederatedSignInInput,
) -> Result<v1::Session> {
    let outcome = evaluate(identities, address, input).await;
    sign_in::count("provider", &outcome);
    outcome
}

async fn evaluate(
    identities: &Identities,
    address: &str,
    input: v1::FinishFederatedSignInInput,
) -> Result<v1::Session> {
    let cx = &identities.cx;
    let guess = Guess::from(identities, address).await?;
    // Taken before anything is evaluated: a state works once, whatever comes of it.
    let tx = cx.db.begin().await?;
    let taken = store::take_attempt(&tx, &token::hash_secret(&input.state), cx.clock.now()).await?;
    tx.commit().await?;
    let provider = taken.and_then(|name| named(identities, &name)).ok_or(ErrorCode::BadCredentials)?;
    let attempt = Attempt::of(&cx.vault, input.state);
    let voucher = identities.directory.voucher(provider, &attempt, input.code, cx.clock.now()).await?;
    let signer = identities.keys.signer().await?;
    let mut call = Call::begin(cx, Actor::exchange()).await?;
    let person = match store::linked(&call.tx, &index(cx, &voucher)).await? {
        Some(person) => people::person(&call.tx, &cx.vault, person).await?.ok_or(ErrorCode::BadCredentials)?.id,
        None => admit(&call, provider, &voucher).await?,
    };
    guess.right(&call.tx).await?;
    call.actor = Actor { person_id: person.text(), ..Actor::default() };
    let opened = session::open(&call, &signer, person, voucher.second_factor).await?;
    call.commit().await?;
    Ok(opened)
}

/// Makes a person of somebody who comes for the first time, with a login that tells nothing and no password.
async fn admit(call: &Call, provider: &Provider, voucher: &Voucher) -> Result<PersonId> {
    let vault = &call.cx.vault;
    let index = index(&call.cx, voucher);
    let subject: String =
        BASE32_NOPAD.encode(&index).chars().take(LOGIN_LENGTH).collect::<String>().to_ascii_lowercase();
    let login = format!("{}-{subject}", provider.name);
    let name = voucher.name.as_deref().and_then(|name| text(name, "name", 1, 100).ok());
    let mut person = people::Person {
        id: PersonId::fresh(),
        name: name.unwrap_or_else(|| login.clone()),
        login,
        password_hash: String::new(),
        created_at: call.now,
    };
    if !people::insert_person(&call.tx, vault, &person).await? {
        // Somebody signed up under this very login. It is theirs; this one gets another.
        let (random, _) = token::fresh_secret()?;
        let ending: String = random.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        person.login = format!("{}.{}", person.login, ending.to_ascii_lowercase());
        if !people::insert_person(&call.tx, vault, &person).await? {
            return Err(Error::Unavailable("no login is free".into()));
        }
    }
    if !store::link(&call.tx, index, &voucher.issuer, person.id, call.now).await? {
        return Err(Error::Unavailable("the same account is being linked".into()));
    }
    call.record("SignedUp", &person.id.text(), json!({ "provider": provider.name })).await?;
    Ok(person.id)
}

/// By which a provider's account is found: it names the account to nobody.
fn index(cx: &kernel::Context, voucher: &Voucher) -> Vec<u8> {
    cx.vault.index("federated subject", &format!("{} {}", voucher.issuer, voucher.subject)).to_vec()
}

fn named<'a>(identities: &'a Identities, name: &str) -> Option<&'a Provider> {
    identities.entrance.providers.iter().find(|provider| provider.name == name)
}
