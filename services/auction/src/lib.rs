//! Bidding sessions: rules, sequencer, log, awards
