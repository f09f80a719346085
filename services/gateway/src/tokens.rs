use std::{sync::Arc, time::Duration};

use http::{HeaderMap, header::AUTHORIZATION};
use kernel::{Actor, Clock, Error, Instant, Peer, Result};
use moka::future::Cache;
use prost::Message;
use sha2::{Digest, Sha256};
use wire::v1::{AuthenticateRequest, access_client::AccessClient};

/// How long an answer of identity may be believed: a session that ends elsewhere is over here this much later.
const BELIEVED: Duration = Duration::from_secs(2);

/// No token of ours is longer.
const LONGEST: usize = 4_096;

/// Root fields after which somebody's roles or session may have changed.
const CHANGING: [&str; 22] = [
    "signOut",
    "changePassword",
    "confirmSecondFactor",
    "removeSecondFactor",
    "endSession",
    "erasePerson",
    "revokeApiKey",
    "registerOrganization",
    "verifyOrganization",
    "suspendOrganization",
    "reinstateOrganization",
    "closeOrganization",
    "openCentre",
    "closeCentre",
    "assignCentre",
    "answerInvitation",
    "changeMemberRoles",
    "removeMember",
    "registerBrokerCredential",
    "reviewBrokerCredential",
    "answerMandate",
    "endMandate",
];

/// Who stands behind which access token.
pub struct Tokens {
    access: AccessClient<Peer>,
    clock: Clock,
    known: Cache<[u8; 32], Arc<Known>>,
}

/// A believed token.
pub struct Known {
    pub actor: Actor,
    expires_at: Instant,
}

impl Tokens {
    pub fn new(access: AccessClient<Peer>, clock: Clock) -> Self {
        let known = Cache::builder().max_capacity(10_000).time_to_live(BELIEVED).build();
        Self { access, clock, known }
    }

    /// The acting person behind an access token. It is never believed beyond its end.
    pub async fn authenticate(&self, token: &str) -> Result<Arc<Known>> {
        if token.len() > LONGEST {
            return Err(Error::Unauthenticated);
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        let known = match self.known.get(&digest).await {
            Some(known) => known,
            // Boxed: what is rare takes no room in every request's future.
            None => {
                Box::pin(self.known.try_get_with(digest, self.ask(token))).await.map_err(|error| (*error).clone())?
            }
        };
        if known.expires_at <= self.clock.now() {
            return Err(Error::Unauthenticated);
        }
        Ok(known)
    }

    async fn ask(&self, token: &str) -> Result<Arc<Known>> {
        let mut request = tonic::Request::new(AuthenticateRequest { access_token: token.to_owned() });
        request.set_timeout(Duration::from_secs(5));
        let reply = self.access.clone().authenticate(request).await?.into_inner();
        let actor = Actor::decode(reply.actor.as_slice()).map_err(|error| Error::Internal(error.to_string()))?;
        let expires_at = reply.expires_at.ok_or_else(|| Error::Internal("a token without an end".into()))?;
        Ok(Arc::new(Known { actor, expires_at }))
    }

    /// Forgets everybody after a mutation that may have changed who may do what, so that the next request of this
    /// gateway sees it; another gateway sees it `BELIEVED` later.
    pub fn heed(&self, roots: &[String]) {
        if roots.iter().any(|root| CHANGING.contains(&root.as_str())) {
            self.known.invalidate_all();
        }
    }
}

/// The bearer token of the Authorization header; anything else in that header is refused, never ignored.
pub fn bearer(headers: &HeaderMap) -> Result<Option<String>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(token_of).map(Some).ok_or(Error::Unauthenticated),
        _ => Err(Error::Unauthenticated),
    }
}

/// The token in `Bearer …`.
pub fn token_of(credentials: &str) -> Option<String> {
    let (scheme, token) = credentials.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_somebody_is_there() {
        for name in CHANGING {
            let known = wire::policy::ENTRIES.iter().any(|entry| entry.place == "Mutation" && entry.field == name);
            assert!(known, "{name} is no mutation");
        }
    }

    #[test]
    fn only_one_bearer_token_is_taken() {
        let headers = |values: &[&'static str]| -> HeaderMap {
            values.iter().map(|value| (AUTHORIZATION, http::HeaderValue::from_static(value))).collect()
        };
        assert_eq!(bearer(&headers(&[])).unwrap(), None);
        assert_eq!(bearer(&headers(&["Bearer abc"])).unwrap().as_deref(), Some("abc"));
        assert_eq!(bearer(&headers(&["bearer  abc "])).unwrap().as_deref(), Some("abc"));
        for bad in [&["Basic abc"][..], &["Bearer"], &["Bearer "], &["abc"], &["Bearer a", "Bearer b"]] {
            assert!(bearer(&headers(bad)).is_err(), "{bad:?}");
        }
    }
}
