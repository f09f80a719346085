//! Investors, financing projects, matching, interests
