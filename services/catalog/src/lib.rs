//! Achievements, listings and transfer applications
