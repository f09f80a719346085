use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// Where a byte stands: its line, from 1 on.
fn line_of(bundle: &[u8], place: usize) -> u64 {
    1 + bundle[..place].iter().filter(|byte| **byte == b'\n').count() as u64
}

fn refused_at(bundle: &[u8], what: &str) -> Flaw {
    match check(bundle) {
        Ok(_) => panic!("{what} went unnoticed"),
        Err(flaw) => flaw,
    }
}

/// The record whose line this is, if it is one's.
fn seq_of(bundle: &[u8], line: u64) -> Option<i64> {
    let text = std::str::from_utf8(bundle).unwrap().lines().nth(usize::try_from(line).unwrap() - 1)?;
    serde_json::from_str::<serde_json::Value>(text).unwrap().get("seq")?.as_i64()
}

/// All bytes of the shortest bundle; those of a long one are tried at random below.
#[test]
fn no_byte_may_differ() {
    let mut story = Story::of(steps(), None);
    story.take(Command::Cancel { reason: "撤回".into() }, 0);
    let bundle = story.bundle(&Vault::development());
    for place in 0..bundle.len() {
        let mut bent = bundle.clone();
        bent[place] ^= 1;
        let flaw = refused_at(&bent, &format!("byte {place}"));
        let line = line_of(&bundle, place);
        assert_eq!((flaw.line, flaw.seq), (line, seq_of(&bundle, line)), "byte {place}: {flaw}");
    }
}

/// Anything but spelling: no blank, no other order, no other escape.
#[test]
fn only_one_spelling_verifies() {
    let bundle = String::from_utf8(plain().bundle(&Vault::development())).unwrap();
    for (from, to) in [
        ("\"seq\":1,", "\"seq\": 1,"),
        ("\n", "\r\n"),
        ("\"seq\":6,\"record\"", "\"record\""),
        ("\"kind\":\"BID\"", "\"kind\":\"\\u0042ID\""),
        ("\"kind\":\"BID\",", "\"kind\":\"BID\",\"extra\":1,"),
        ("{\"head\":5", "{\"head\":5.0"),
        ("\"sessionId\"", "\"sessionId\":\"bidding_2\",\"sessionId\""),
    ] {
        let bent = bundle.replacen(from, to, 1);
        assert_ne!(bent, bundle, "{from}");
        refused_at(bent.as_bytes(), to);
    }
    refused_at(&[bundle.as_bytes(), b" "].concat(), "a blank after the end");
    refused_at(&[b"\xef\xbb\xbf", bundle.as_bytes()].concat(), "a byte order mark");
}

/// The record, its reading and all lines after it agree; only the signed head does not.
#[test]
fn a_consistent_forgery_is_held_against_the_signed_heads() {
    let vault = Vault::development();
    let story = plain();
    let bundle = String::from_utf8(story.bundle(&vault)).unwrap();
    let mut forged = plain();
    let bid = forged.log.iter_mut().find(|event| event.kind() == Kind::Bid).unwrap();
    bid.at = Some(Instant(2_001));
    let other = String::from_utf8(forged.bundle(&vault)).unwrap();
    assert!(check(other.as_bytes()).is_ok(), "the rules alone would allow it");
    let mut lines: Vec<&str> = bundle.lines().collect();
    let place = lines.iter().position(|line| line.contains("\"BID\"")).unwrap();
    lines[place] = other.lines().nth(place).unwrap();
    let flaw = check(format!("{}\n", lines.join("\n")).as_bytes()).unwrap_err();
    assert_eq!(flaw.seq, Some(6), "the first record that no earlier head covers: {flaw}");

    // Whoever signs it all anew has another key.
    let own = Vault::new(&[7; 32]);
    let resigned = story.bundle(&own);
    assert!(check(&resigned).is_ok());
    let flaw = verify(resigned.as_slice(), Some(vault.verifying_key().as_bytes())).unwrap_err();
    assert_eq!(flaw.line, 1);
}

/// The exchange itself cannot publish what its rules do not decide.
#[test]
fn the_exchange_cannot_sign_what_the_rules_do_not_decide() {
    let vault = Vault::development();
    let bent = |change: &dyn Fn(&mut Story)| {
        let mut story = eventful();
        change(&mut story);
        let bundle = story.bundle(&vault);
        (check(&bundle).unwrap_err().seq, bundle)
    };
    let at = |kind: Kind| eventful().log.iter().position(|event| event.kind() == kind).unwrap();
    for kind in [Kind::Bid, Kind::Sold, Kind::ReserveRevealed, Kind::PreemptionExercised, Kind::PassedOn] {
        let place = at(kind);
        let (seq, _) = bent(&|story| story.log[place].amount = Some(Money(9_999)));
        assert_eq!(seq, Some(i64::try_from(place).unwrap() + 1), "{kind:?}");
    }
    let (_, bundle) = bent(&|story| story.lot.state.lead.as_mut().unwrap().code = "B01".into());
    assert_eq!(check(&bundle).unwrap_err().what, "the result is not the one that the log decides");
    let mut story = eventful();
    story.log.truncate(at(Kind::Sold));
    story.phases.retain(|size| *size <= story.log.len() as i64);
    assert_eq!(check(&story.bundle(&vault)).unwrap_err().what, "the log ends before the lot does");
    let (_, bundle) = bent(&|story| story.lot.terms.starting_price = Money(9_900));
    assert_eq!(check(&bundle).unwrap_err().seq, Some(6), "the first bid is not what these terms admit");
}

/// What somebody does to a file.
#[derive(Clone, Debug)]
enum Change {
    Byte(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
    Drop(prop::sample::Index),
    Repeat(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        (index(), 1_u8..).prop_map(|(place, bits)| Change::Byte(place, bits)),
        (index(), any::<u8>()).prop_map(|(place, byte)| Change::Insert(place, byte)),
        index().prop_map(Change::Delete),
        index().prop_map(Change::Drop),
        index().prop_map(Change::Repeat),
        (index(), index()).prop_map(|(one, other)| Change::Swap(one, other)),
        index().prop_map(Change::Cut),
    ]
}

/// The changed file, and the first line that is not what it was; none if nothing changed.
fn changed(bundle: &[u8], change: &Change) -> Option<(Vec<u8>, u64)> {
    let mut lines: Vec<&[u8]> = bundle.split_inclusive(|byte| *byte == b'\n').collect();
    let mut bytes = bundle.to_vec();
    let number = |place: usize| place as u64 + 1;
    let line = match change {
        Change::Byte(place, bits) => {
            let place = place.index(bytes.len());
            bytes[place] ^= bits;
            return Some((bytes, line_of(bundle, place)));
        }
        Change::Insert(place, byte) => {
            let place = place.index(bytes.len() + 1);
            bytes.insert(place, *byte);
            return Some((bytes, line_of(bundle, place)));
        }
        Change::Delete(place) => {
            let place = place.index(bytes.len());
            bytes.remove(place);
            return Some((bytes, line_of(bundle, place)));
        }
        Change::Cut(place) => {
            let place = place.index(bytes.len());
            bytes.truncate(place);
            return Some((bytes, line_of(bundle, place)));
        }
        Change::Drop(place) => {
            let place = place.index(lines.len());
            lines.remove(place);
            number(place)
        }
        Change::Repeat(place) => {
            let place = place.index(lines.len());
            lines.insert(place, lines[place]);
            number(place + 1)
        }
        Change::Swap(one, other) => {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
            number(one.min(other))
        }
    };
    let after = lines.concat();
    (after != bundle).then_some((after, line))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Any byte changed, inserted or deleted, any line dropped, repeated or swapped, any end cut off: refused, and the
    /// first bad line is named.
    #[test]
    fn any_change_is_found_where_it_is(change in change()) {
        static BUNDLE: LazyLock<Vec<u8>> = LazyLock::new(|| eventful().bundle(&Vault::development()));
        let bundle = &*BUNDLE;
        let Some((after, line)) = changed(bundle, &change) else { return Ok(()) };
        let flaw = check(&after);
        prop_assert!(flaw.is_err(), "{change:?} went unnoticed");
        let flaw = flaw.unwrap_err();
        prop_assert_eq!(flaw.line, line, "{:?}: {}", change, flaw);
        prop_assert!(flaw.seq.is_none_or(|seq| Some(seq) == seq_of(bundle, line)), "{flaw}");
    }
}
