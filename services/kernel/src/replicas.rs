//! Several processes with one role on one database: any of them takes any call.
//!
//! A call that names what it is about goes to the replica of highest random weight (rendezvous hashing, Thaler and
//! Ravishankar 1998), so that the commands of one lot meet in one writer's queue and share its commits. Correctness
//! never depends on it: whoever decides a lot is fenced by its version.

use std::{
    cmp::Reverse,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize, atomic::Ordering},
    time::Duration,
};

use http::{HeaderName, Request, Response};
use http_body_util::{BodyExt, Full};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tonic::{
    Status,
    body::Body,
    transport::{Channel, Error},
};
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    Peer,
    peer::{Secret, connected},
};

/// Names what a call is about: a session's id.
pub const ABOUT_HEADER: &str = "jishi-about";

/// A replica that could not be reached is asked last for so long.
const REST: Duration = Duration::from_secs(1);

struct Replica {
    url: String,
    channel: Channel,
    rests_until: Mutex<Option<Instant>>,
}

/// A peer over several replicas. A call passes on to the next one only while none was reached: what a replica may have
/// begun is never begun by another, and the caller asks again under its key.
///
/// # Errors
/// A URL is none.
pub fn replicas<'a>(urls: impl Iterator<Item = &'a str>, secret: &str) -> Result<Peer, Error> {
    let replica =
        |url: &str| Ok(Replica { url: url.to_owned(), channel: connected(url)?, rests_until: Mutex::default() });
    let all: Arc<Vec<Replica>> = Arc::new(urls.map(replica).collect::<Result<_, Error>>()?);
    let (secret, turn) = (Secret::new(secret), Arc::new(AtomicUsize::new(0)));
    Ok(BoxCloneSyncService::new(service_fn(move |mut request: Request<Body>| {
        secret.stamp(&mut request);
        let about = request.headers_mut().remove(HeaderName::from_static(ABOUT_HEADER));
        let order = match about {
            Some(about) => order(about.as_bytes(), all.iter().map(|replica| replica.url.as_str())),
            None => turns(turn.fetch_add(1, Ordering::Relaxed), all.len()),
        };
        let all = all.clone();
        async move { ask(&all, order, request).await }
    })))
}

/// The places of `urls`, the one of highest weight first. All who know the same urls agree, in whatever order they
/// list them; one that goes takes only its own calls along.
fn order<'a>(about: &[u8], urls: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let weight = |url: &str| Sha256::new().chain_update(url).chain_update([0]).chain_update(about).finalize();
    let mut weights: Vec<_> = urls.map(weight).enumerate().collect();
    weights.sort_by_key(|(_, weight)| Reverse(*weight));
    weights.into_iter().map(|(place, _)| place).collect()
}

fn turns(turn: usize, count: usize) -> Vec<usize> {
    (0..count).map(|step| turn.wrapping_add(step) % count).collect()
}

async fn ask(all: &[Replica], order: Vec<usize>, request: Request<Body>) -> Result<Response<Body>, Status> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut order: Vec<&Replica> = order.into_iter().filter_map(|place| all.get(place)).collect();
    // Stable: among those that do not rest the order stays.
    order.sort_by_key(|replica| replica.rests());
    let mut outcome = Err(Status::unavailable("no replica"));
    for replica in order {
        let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
        match replica.channel.clone().oneshot(request).await {
            Ok(response) => {
                replica.rest(None);
                return Ok(response);
            }
            Err(error) => {
                replica.rest(Some(Instant::now() + REST));
                let unreached = never_reached(&error);
                outcome = Err(Status::unavailable(error.to_string()));
                if !unreached {
                    break;
                }
            }
        }
    }
    outcome
}

impl Replica {
    fn rests(&self) -> bool {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self, until: Option<Instant>) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Whether the call ended before its first byte left.
fn never_reached(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if one.is::<tonic::ConnectError>() {
            return true;
        }
        cause = one.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const URLS: [&str; 3] = ["http://10.0.0.1:7000", "http://10.0.0.2:7000", "http://10.0.0.3:7000"];

    fn first(about: usize, urls: &[&'static str]) -> &'static str {
        urls[order(&about.to_be_bytes(), urls.iter().copied())[0]]
    }

    #[test]
    fn each_has_its_share_and_one_that_goes_takes_only_its_own() {
        let mut shares: HashMap<&str, usize> = HashMap::new();
        for about in 0..3_000 {
            let of_three = first(about, &URLS);
            *shares.entry(of_three).or_default() += 1;
            let mixed = [URLS[2], URLS[0], URLS[1]];
            assert_eq!(first(about, &mixed), of_three, "the order in which they are listed says nothing");
            let of_two = first(about, &URLS[..2]);
            assert!(of_two == of_three || of_three == URLS[2]);
        }
        assert!(shares.len() == 3 && shares.values().all(|share| (900..1_100).contains(share)), "{shares:?}");
    }

    #[test]
    fn calls_about_nothing_take_turns() {
        assert_eq!([turns(0, 3), turns(1, 3), turns(usize::MAX, 3)].map(|order| order[0]), [0, 1, 0]);
        assert_eq!(turns(4, 3), [1, 2, 0]);
    }
}
