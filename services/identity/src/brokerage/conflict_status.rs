//! Where a declared conflict stands. No I/O, no clock.

use wire::v1::ConflictStatus;

/// The statuses that may follow.
pub fn next(status: ConflictStatus) -> &'static [ConflictStatus] {
    match status {
        ConflictStatus::Declared => &[ConflictStatus::Confirmed, ConflictStatus::Lifted],
        ConflictStatus::Confirmed => &[ConflictStatus::Lifted],
        ConflictStatus::Lifted => &[],
    }
}
