//! One bidder's place in the box of a sealed round: an envelope, when it came, and the calls that brought it.
//!
//! Pure. A place is as long whatever it holds, and is kept only under an outer seal.

use kernel::{Error, ErrorCode, Id, Idempotency, Instant, Refusal, Result, Vault};
use wire::id::BiddingSessionId;
use zeroize::Zeroizing;

use crate::sealed::envelope::{ENVELOPE, commitment};

/// So many keyed envelopes of one bidder are told apart in a round; more are refused, since the retry of a forgotten
/// one would put an old envelope in the place of a newer one.
pub const CALLS: usize = 8;

/// Scope, mark of the request, commitment, instant.
const CALL: usize = 32 + 32 + 32 + 8;
/// Instant, number of the call, envelope, how many calls, the calls.
const LENGTH: usize = 8 + ENVELOPE + 1 + CALLS * CALL;
/// Stands for no instant.
const NEVER: i64 = i64::MIN;

/// What a place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// When the bidder handed it in; none where the exchange filled the place.
    pub received_at: Option<Instant>,
    /// 1,105 bytes.
    pub envelope: Vec<u8>,
    calls: Vec<Taken>,
}

/// An envelope that was taken: all that its receipt tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// SHA-256 of the envelope.
    pub commitment: [u8; 32],
    /// When it was received.
    pub received_at: Instant,
    scope: [u8; 32],
    request: [u8; 32],
}

impl Held {
    /// A place that no bidder has filled.
    pub fn decoy(envelope: Vec<u8>) -> Held {
        Held { received_at: None, envelope, calls: Vec::new() }
    }

    /// What the bidder's receipt tells; nothing if it has none.
    pub fn taken(&self) -> Option<Taken> {
        let received_at = self.received_at?;
        Some(Taken { commitment: commitment(&self.envelope), received_at, scope: [0; 32], request: [0; 32] })
    }

    /// What an earlier copy of the call brought; a refusal if the key belongs to another envelope.
    pub fn earlier(&self, call: &Idempotency) -> Option<Result<Taken, Box<Refusal>>> {
        let (scope, request) = marks(call)?;
        let taken = self.calls.iter().find(|taken| taken.scope == scope)?;
        let conflict = || Box::new(Refusal::new(ErrorCode::IdempotencyConflict).by_rule("P-7"));
        Some(if taken.request == request { Ok(*taken) } else { Err(conflict()) })
    }

    /// Takes an envelope. One that is here already keeps its place in time.
    pub fn take(&mut self, envelope: &[u8], at: Instant, call: Option<&Idempotency>) -> Result<Taken, Box<Refusal>> {
        let marks = call.and_then(marks);
        if marks.is_some() && self.calls.len() == CALLS {
            let refusal = Refusal::new(ErrorCode::TooManyAttempts).at_field("envelope").by_rule("P-7");
            return Err(Box::new(refusal.accepting(format!("≤ {CALLS}"))));
        }
        let received_at = self.received_at.filter(|_| self.envelope == envelope).unwrap_or(at);
        let (scope, request) = marks.unwrap_or_default();
        let taken = Taken { commitment: commitment(envelope), received_at, scope, request };
        self.received_at = Some(received_at);
        self.envelope = envelope.to_vec();
        if marks.is_some() {
            self.calls.push(taken);
        }
        Ok(taken)
    }

    /// Under the outer seal, with a nonce of its own: of two times nobody sees whether they sealed the same.
    pub fn wrap(&self, vault: &Vault, name: &Name) -> Result<Vec<u8>> {
        let mut text = Zeroizing::new(Vec::with_capacity(LENGTH));
        text.extend(self.received_at.map_or(NEVER, |at| at.0).to_be_bytes());
        text.extend(&self.envelope);
        text.push(u8::try_from(self.calls.len()).unwrap_or(u8::MAX));
        for Taken { commitment, received_at, scope, request } in &self.calls {
            text.extend([scope.as_slice(), request, commitment].concat());
            text.extend(received_at.0.to_be_bytes());
        }
        text.resize(LENGTH, 0);
        vault.wrap(&name.text(), &text)
    }

    /// From under the outer seal.
    pub fn unwrap(vault: &Vault, name: &Name, wrapped: &[u8]) -> Result<Held> {
        let text = vault.unwrap(&name.text(), wrapped)?;
        read(&text).ok_or_else(|| Error::Internal(format!("{} cannot be read", name.text())))
    }
}

/// Under what name a place is sealed: what was sealed for one place does not open in another.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// The session.
    pub session: BiddingSessionId,
    /// The round.
    pub round: i32,
    /// The number of the place.
    pub place: i32,
}

impl Name {
    fn text(&self) -> String {
        format!("sealed place/{}/{}/{}", self.session.text(), self.round, self.place)
    }
}

/// Scope and request of a call, as they are kept.
fn marks(call: &Idempotency) -> Option<([u8; 32], [u8; 32])> {
    let scope = data_encoding::HEXLOWER.decode(call.scope().as_bytes()).ok()?;
    Some((scope.try_into().ok()?, call.request_hash().try_into().ok()?))
}

fn read(text: &[u8]) -> Option<Held> {
    if text.len() != LENGTH {
        return None;
    }
    let (at, rest) = text.split_first_chunk::<8>()?;
    let (envelope, rest) = rest.split_first_chunk::<ENVELOPE>()?;
    let (count, rest) = rest.split_first()?;
    let calls = rest.chunks_exact(CALL).take(usize::from(*count)).map(call).collect::<Option<Vec<_>>>()?;
    let received_at = Some(i64::from_be_bytes(*at)).filter(|at| *at != NEVER).map(Instant);
    Some(Held { received_at, envelope: envelope.to_vec(), calls })
}

fn call(bytes: &[u8]) -> Option<Taken> {
    let (scope, rest) = bytes.split_first_chunk()?;
    let (request, rest) = rest.split_first_chunk()?;
    let (commitment, at) = rest.split_first_chunk()?;
    let received_at = Instant(i64::from_be_bytes(at.try_into().ok()?));
    Some(Taken { commitment: *commitment, received_at, scope: *scope, request: *request })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(key: &str, request: &[u8]) -> Idempotency {
        Idempotency::new(&Vault::development(), ["person", "SubmitSealedBid", key], request)
    }

    #[test]
    fn a_place_is_as_long_whatever_it_holds_and_opens_only_in_its_place() {
        let (vault, session) = (Vault::development(), BiddingSessionId::fresh());
        let name = Name { session, round: 1, place: 2 };
        let mut held = Held::decoy(vec![4; ENVELOPE]);
        let mut wrapped = vec![held.wrap(&vault, &name).unwrap()];
        for n in 0..CALLS {
            let key = n.to_string();
            held.take(&[u8::try_from(n).unwrap(); ENVELOPE], Instant(n as i64), Some(&call(&key, b""))).unwrap();
            wrapped.push(held.wrap(&vault, &name).unwrap());
            assert_eq!(Held::unwrap(&vault, &name, &wrapped[n + 1]).unwrap(), held);
        }
        assert!(wrapped.iter().all(|bytes| bytes.len() == wrapped[0].len()));
        assert_ne!(held.wrap(&vault, &name).unwrap(), held.wrap(&vault, &name).unwrap());
        for other in [Name { place: 1, ..name }, Name { round: 2, ..name }] {
            assert!(Held::unwrap(&vault, &other, &wrapped[1]).is_err());
        }
        let more = held.take(&[9; ENVELOPE], Instant(9), Some(&call("more", b"")));
        assert_eq!(more.unwrap_err().error_code(), ErrorCode::TooManyAttempts);
    }

    #[test]
    fn a_repeated_call_finds_what_it_brought_and_the_same_envelope_keeps_its_time() {
        let mut held = Held::decoy(vec![4; ENVELOPE]);
        assert!(held.taken().is_none());
        let first = held.take(&[1; ENVELOPE], Instant(5), Some(&call("a", b"1"))).unwrap();
        let again = held.take(&[1; ENVELOPE], Instant(6), None).unwrap();
        assert_eq!((again.commitment, again.received_at), (first.commitment, Instant(5)));
        held.take(&[2; ENVELOPE], Instant(7), Some(&call("b", b"2"))).unwrap();
        assert_eq!(held.earlier(&call("a", b"1")), Some(Ok(first)));
        let conflict = held.earlier(&call("a", b"2")).unwrap().unwrap_err();
        assert_eq!(conflict.error_code(), ErrorCode::IdempotencyConflict);
        assert_eq!(held.earlier(&call("c", b"1")), None);
        assert_eq!(held.taken().unwrap().received_at, Instant(7));
    }
}
