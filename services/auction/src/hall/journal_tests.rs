//! Whatever is done to a journal on its way is found, and the first bad line is named.

use ed25519_dalek::{Signer, SigningKey};
use kernel::{ErrorCode, Instant, Money};
use proptest::prelude::*;
use wire::v1::BidOrigin;

use super::journal::{Flaw, Line, Signed, check};

const DEVICE: &str = "device_1";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn origin() -> impl Strategy<Value = BidOrigin> {
    prop_oneof![Just(BidOrigin::Floor), Just(BidOrigin::Phone), Just(BidOrigin::Absentee)]
}

prop_compose! {
    /// What is noted in one line, but for its number.
    fn noted()(
        operation in "[a-z0-9]{8,12}",
        lot in 1_u8..4,
        paddle in 1_i32..9_999,
        amount in 1_i64..1_000_000,
        origin in origin(),
        at in 0_i64..1_000_000,
    ) -> (Line, Instant) {
        let (session_id, amount) = (format!("bidding_{lot}"), Money(amount));
        (Line { number: 0, operation_id: operation, session_id, paddle, amount, origin }, Instant(at))
    }
}

/// The journal of a terminal, signed line by line from number 1.
fn journal(lines: Vec<(Line, Instant)>) -> Vec<Signed> {
    let mut signed: Vec<Signed> = Vec::new();
    for (line, noted_at) in lines {
        let line = Line { number: i64::try_from(signed.len()).unwrap() + 1, ..line };
        let before = signed.last().map(|last| last.signature.clone()).unwrap_or_default();
        let signature = key().sign(line.text(DEVICE, noted_at, &before).as_bytes()).to_vec();
        signed.push(Signed { line, noted_at, signature });
    }
    signed
}

fn judged(lines: &[Signed]) -> Result<(), (usize, ErrorCode)> {
    check(DEVICE, &key().verifying_key(), (1, &[]), lines).map_err(|flaw| (flaw.index, flaw.code))
}

/// One change of one byte or number of one field.
fn flip(signed: &Signed, (field, place): (usize, usize)) -> Signed {
    let mut changed = signed.clone();
    let line = &mut changed.line;
    let touch = |text: &mut String| {
        let at = place % text.len();
        let other = if text.as_bytes()[at] == b'x' { "y" } else { "x" };
        text.replace_range(at..=at, other);
    };
    match field {
        0 => touch(&mut line.operation_id),
        1 => touch(&mut line.session_id),
        2 => line.paddle ^= 1 << (place % 13),
        3 => line.amount.0 ^= 1 << (place % 40),
        4 if line.origin == BidOrigin::Floor => line.origin = BidOrigin::Phone,
        4 => line.origin = BidOrigin::Floor,
        5 => changed.noted_at.0 ^= 1 << (place % 40),
        _ => changed.signature[place % 64] ^= 1 << (place % 8),
    }
    changed
}

proptest! {
    // A signature takes milliseconds where nothing is optimized.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_untouched_journal_fits_whole_and_in_pieces(lines in prop::collection::vec(noted(), 1..6), cut in 0_usize..8) {
        let whole = journal(lines);
        prop_assert_eq!(judged(&whole), Ok(()));
        let (first, rest) = whole.split_at(cut % whole.len());
        prop_assert_eq!(judged(first), Ok(()));
        let before = first.last().map(|last| last.signature.clone()).unwrap_or_default();
        let next = i64::try_from(first.len()).unwrap() + 1;
        prop_assert_eq!(check(DEVICE, &key().verifying_key(), (next, &before), rest), Ok(()));
        // The end may be missing: the next piece must go on there, and what was brought already may be brought again.
        if !first.is_empty() {
            let flaw = check(DEVICE, &key().verifying_key(), (next - 1, &[]), rest);
            prop_assert_eq!(flaw, Err(Flaw { index: 0, code: ErrorCode::OutOfSequence, expected: next - 1 }));
        }
        prop_assert_eq!(check(DEVICE, &key().verifying_key(), (99, &[]), &whole), Ok(()));
    }

    #[test]
    fn any_reordering_is_named(lines in prop::collection::vec(noted(), 2..6), one in 0_usize..8, other in 0_usize..8) {
        let whole = journal(lines);
        let (one, other) = (one % whole.len(), other % whole.len());
        prop_assume!(one != other);
        let mut moved = whole.clone();
        moved.swap(one, other);
        let first = one.min(other);
        prop_assert_eq!(judged(&moved), Err((first, ErrorCode::OutOfSequence)));
        // Numbered anew the numbers fit, the signatures do not.
        for (number, signed) in (1..).zip(&mut moved) {
            signed.line.number = number;
        }
        prop_assert_eq!(judged(&moved), Err((first, ErrorCode::BadSignature)));
    }

    #[test]
    fn any_loss_is_named(lines in prop::collection::vec(noted(), 2..6), lost in 0_usize..8) {
        let mut whole = journal(lines);
        // The loss of the end alone shows when the next piece comes.
        let lost = lost % (whole.len() - 1);
        whole.remove(lost);
        prop_assert_eq!(judged(&whole), Err((lost, ErrorCode::OutOfSequence)));
        for (number, signed) in (1..).zip(&mut whole) {
            signed.line.number = number;
        }
        prop_assert_eq!(judged(&whole), Err((lost, ErrorCode::BadSignature)));
    }

    #[test]
    fn any_change_of_one_byte_is_named(
        lines in prop::collection::vec(noted(), 1..6), at in 0_usize..8, field in 0_usize..7, place in 0_usize..520,
    ) {
        let mut whole = journal(lines);
        let at = at % whole.len();
        whole[at] = flip(&whole[at], (field, place));
        prop_assert_eq!(judged(&whole), Err((at, ErrorCode::BadSignature)));
    }

    #[test]
    fn a_line_from_elsewhere_is_named(lines in prop::collection::vec(noted(), 1..5), twice in 0_usize..5) {
        let whole = journal(lines);
        let strange = check("device_2", &key().verifying_key(), (1, &[]), &whole).map_err(|flaw| (flaw.index, flaw.code));
        prop_assert_eq!(strange, Err((0, ErrorCode::BadSignature)));
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        let strange = check(DEVICE, &other, (1, &[]), &whole).map_err(|flaw| (flaw.index, flaw.code));
        prop_assert_eq!(strange, Err((0, ErrorCode::BadSignature)));
        let twice = twice % whole.len();
        let mut doubled = whole.clone();
        doubled.insert(twice, whole[twice].clone());
        prop_assert_eq!(judged(&doubled), Err((twice + 1, ErrorCode::OutOfSequence)));
    }
}

/// The text of docs/hall.md, and a signature that anybody can make again.
#[test]
fn the_published_example_is_what_a_terminal_signs() {
    let line = Line {
        number: 2,
        operation_id: "op-0002".into(),
        session_id: "bidding_1".into(),
        paddle: 21,
        amount: Money(1_250_000),
        origin: BidOrigin::Phone,
    };
    let text = line.text("device_1", Instant(1_795_000_000_000), &[0xAB; 64]);
    let before = data_encoding::BASE64URL_NOPAD.encode(&[0xAB; 64]);
    let expected =
        format!("jishi hall journal v1\ndevice_1\n2\nop-0002\nbidding_1\n21\n1250000\nPHONE\n1795000000000\n{before}");
    assert_eq!(text, expected);
    // Of line 1, made with OpenSSL.
    let line = Line { number: 1, operation_id: "op-00001".into(), paddle: 7, origin: BidOrigin::Floor, ..line };
    let signature = key().sign(line.text("device_1", Instant(1_795_000_000_000), &[]).as_bytes());
    let published = "SHaPstucd8elVewpw3zKH_ZY-JP8qhgRNGFJhDijCYcYSK6oP3_xcwCktqQ23afH2h2wauOcd1LzRJTb8CnfCw";
    assert_eq!(data_encoding::BASE64URL_NOPAD.encode(&signature.to_bytes()), published);
    assert!(include_str!("../../../../docs/hall.md").contains(published));
}
