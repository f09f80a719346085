use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};

use super::*;

/// Kilobytes, as Linux tells them of this process.
fn memory(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Plays a lot of so many events; yields each and keeps none.
fn play(events: i64, mut each: impl FnMut(AuctionEvent)) -> Lot {
    let mut story = Story::of(BiddingTerms { free_seconds: i32::MAX, ..steps() }, None);
    for n in 0.. {
        story.log.drain(..).for_each(&mut each);
        match story.lot.state.seq {
            seq if seq == events => break,
            // The timed period and the sale.
            seq if seq == events - 2 => story.pass(i64::MAX / 2),
            _ => story.bid(["B01", "B02"][usize::from(n % 2 == 1)], 10_000 + 500 * n, 2_000 + n),
        }
    }
    story.lot
}

/// Writes the bundle of such a lot, likewise.
fn write(vault: &Vault, events: i64, out: &mut impl Write) {
    let (mut tree, mut last) = (merkle::Tree::default(), Instant(0));
    let lot = play(events, |event| {
        tree.push(merkle::leaf(&log::record(&event)));
        last = event.at.unwrap();
    });
    let mut lines = Vec::new();
    let opening = opening(&lot.terms, usize::try_from(events).unwrap(), vec![head(vault, &tree, last)]);
    let mut scribe = Scribe::open(opening, vault, &mut lines).unwrap();
    let lot = play(events, |event| {
        scribe.record(event.seq, &log::record(&event), &mut lines).unwrap();
        out.write_all(&lines).unwrap();
        lines.clear();
    });
    scribe.close(&lot, &mut lines).unwrap();
    out.write_all(&lines).unwrap();
}

/// Written and verified line by line: memory does not grow with the log.
fn verifies_in_bounded_memory(events: i64) {
    let vault = Vault::development();
    let file = tempfile::tempfile().unwrap();
    let mut out = BufWriter::new(file);
    write(&vault, events, &mut out);
    let mut file = out.into_inner().unwrap();
    let bytes = file.stream_position().unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    // From here on the peak is the verifier's.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, began) = (memory("VmRSS:"), std::time::Instant::now());
    let verdict = verify(BufReader::new(file), Some(vault.verifying_key().as_bytes())).unwrap();
    let (took, grown) = (began.elapsed(), memory("VmHWM:").saturating_sub(before));
    assert_eq!(verdict.size, events);
    let per_second = u128::try_from(events).unwrap() * 1_000 / took.as_millis().max(1);
    eprintln!("{events} events, {} MB: {took:.2?}, {per_second} events/s, memory + {grown} KiB", bytes >> 20);
    assert!(grown < 16 * 1024, "{grown} KiB");
}

#[test]
fn ten_thousand_events() {
    verifies_in_bounded_memory(10_000);
}

#[test]
#[ignore = "a minute and 300 MB of disk; run with --release"]
fn a_million_events() {
    verifies_in_bounded_memory(1_000_000);
}
