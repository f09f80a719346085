//! Double-entry accounts, deposits and settlement
