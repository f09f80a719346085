//! What the envelopes of a round held, in the order in which they had come. Pure.

use data_encoding::HEXLOWER;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use wire::v1::OfferValue;

use crate::{
    engine::{Command, Offer},
    sealed::{
        PrivateKey,
        envelope::{Opened, commitment, open},
        slot::Held,
    },
};

/// Ten-thousandths, in which values are counted.
const SCALE: i64 = 10_000;

/// Opens the envelopes, by place, and puts them in order: those that bid, or tried to, as they came, then those that
/// did not, by place.
pub fn opened(key: &PrivateKey, (session, round): (&str, i32), places: &[(&str, &Held)]) -> Vec<Command> {
    let round = u32::try_from(round).unwrap_or_default();
    let mut all: Vec<_> = (0_usize..)
        .zip(places)
        .map(|(place, (code, held))| {
            let offer = match open(key, session, code, round, &held.envelope) {
                Ok(opened) => offer(opened),
                Err(invalid) => Offer::Invalid(invalid.code().to_owned()),
            };
            let came = held.received_at.filter(|_| offer != Offer::None);
            ((came.is_none(), came, place), *code, offer, &held.envelope)
        })
        .collect();
    all.sort_by_key(|(order, ..)| *order);
    let count = all.len();
    (1..)
        .zip(all)
        .map(|(n, (_, code, offer, envelope))| Command::Open {
            code: code.to_owned(),
            commitment: HEXLOWER.encode(&commitment(envelope)),
            offer,
            last: n == count,
        })
        .collect()
}

fn offer(opened: Opened) -> Offer {
    let Some(amount) = opened.amount else { return Offer::None };
    let value = |(name, value): (String, Decimal)| Some(OfferValue { name, value: ten_thousandths(value)? });
    match opened.values.into_iter().map(value).collect() {
        Some(values) => Offer::Some { amount, values },
        None => Offer::Invalid("VALUE_TOO_FINE".to_owned()),
    }
}

/// A number in ten-thousandths; none if it has more decimals, or is too large.
pub fn ten_thousandths(value: Decimal) -> Option<i64> {
    value.checked_mul(Decimal::from(SCALE)).filter(Decimal::is_integer)?.to_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_decimals_are_counted_and_more_are_not() {
        for (text, counted) in [("1.5", Some(15_000)), ("0.0001", Some(1)), ("0.00001", None), ("-2", Some(-20_000))] {
            assert_eq!(ten_thousandths(text.parse().unwrap()), counted, "{text}");
        }
        assert_eq!(ten_thousandths(Decimal::MAX), None);
    }
}
