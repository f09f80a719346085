//! The public keys of a lot's rounds, as the trustees dealt them: checked for form; their private halves are theirs.

use std::collections::BTreeSet;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use kernel::{Error, ErrorCode, Refusal, Result, text};
use wire::v1::{self, BiddingMode, Listing, TieRule};

use crate::sealed::{PublicKey, shares::SEALED_SHARE};

/// One for each round that may come where bids are sealed; none elsewhere. Opening a round breaks its key, so that no
/// envelope of a later round may be sealed to it.
pub fn read(listing: &Listing, given: Vec<v1::SealedKeyInput>) -> Result<Vec<v1::SealedKey>> {
    let terms = listing.bidding.clone().unwrap_or_default();
    let needed = rounds(&terms);
    let refuse =
        |code| Error::from(Refusal::new(code).at_field("sealedKeys").by_rule("P-3").accepting(needed.to_string()));
    match (needed, given.len()) {
        (0, 0) => return Ok(Vec::new()),
        (0, _) => return Err(Refusal::new(ErrorCode::ModeMismatch).at_field("sealedKeys").by_rule("SM-5").into()),
        (_, 0) => return Err(refuse(ErrorCode::Required)),
        (needed, given) if needed != given => return Err(refuse(ErrorCode::InvalidInput)),
        _ => {}
    }
    let distinct: BTreeSet<&str> = given.iter().map(|key| key.public_key.as_str()).collect();
    if distinct.len() < needed {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("sealedKeys.publicKey").by_rule("P-3");
        return Err(refusal.accepting("unique").into());
    }
    given.into_iter().map(checked).collect()
}

/// How many sealed rounds the notice allows, an extra one among equals included.
fn rounds(terms: &v1::BiddingTerms) -> usize {
    use BiddingMode::{Evaluation, MultiRoundSealed, SealedSingle, Weighted};
    let announced = match terms.mode() {
        SealedSingle | Weighted => 1,
        MultiRoundSealed => usize::try_from(terms.rounds).unwrap_or_default().max(1),
        // Points decide, not another round.
        Evaluation => return 1,
        _ => return 0,
    };
    announced + usize::from(terms.tie_rule() == TieRule::ExtraRound)
}

fn checked(key: v1::SealedKeyInput) -> Result<v1::SealedKey> {
    let trustees = key.trustees.len();
    let refuse = |field: &str, accepted: &str| -> Error {
        let refusal = Refusal::new(ErrorCode::InvalidInput).at_field(&format!("sealedKeys.{field}"));
        refusal.by_rule("P-3").accepting(accepted).into()
    };
    if PublicKey::parse(&key.public_key).is_none() {
        return Err(refuse("publicKey", "jishi trustee deal"));
    }
    if !(2..=20).contains(&trustees) {
        return Err(refuse("trustees", "2–20"));
    }
    if !usize::try_from(key.threshold).is_ok_and(|threshold| (2..=trustees).contains(&threshold)) {
        return Err(refuse("threshold", &format!("2–{trustees}")));
    }
    let names: BTreeSet<&str> = key.trustees.iter().map(|trustee| trustee.name.as_str()).collect();
    if names.len() < trustees {
        return Err(refuse("trustees.name", "unique"));
    }
    for trustee in &key.trustees {
        text(&trustee.name, "sealedKeys.trustees.name", 1, 40)?;
        let share = BASE64URL_NOPAD.decode(trustee.share.as_bytes());
        if !share.is_ok_and(|share| share.len() == SEALED_SHARE) {
            return Err(refuse("trustees.share", "jishi trustee deal"));
        }
        if !HEXLOWER.decode(trustee.digest.as_bytes()).is_ok_and(|digest| digest.len() == 32) {
            return Err(refuse("trustees.digest", "64 hexadecimal digits"));
        }
    }
    let trustee = |t: v1::TrusteeInput| v1::Trustee { name: t.name, share: t.share, digest: t.digest };
    let trustees = key.trustees.into_iter().map(trustee).collect();
    Ok(v1::SealedKey { public_key: key.public_key, threshold: key.threshold, trustees })
}
