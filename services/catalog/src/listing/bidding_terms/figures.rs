//! The figures that bound the terms of bidding, as the rulebook has them on one day.

use kernel::{Result, rules::RuleParameter};

/// The least and the most that a term may be.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    /// The least.
    pub least: &'a RuleParameter,
    /// The most.
    pub most: &'a RuleParameter,
}

/// The figures in force on one day.
#[derive(Clone, Debug)]
pub struct Figures<'a> {
    pub inquiry: Range<'a>,
    pub usual_inquiry: &'a RuleParameter,
    pub window: Range<'a>,
    pub usual_window: &'a RuleParameter,
    pub extension_total: Range<'a>,
    pub response: Range<'a>,
    pub usual_response: &'a RuleParameter,
    pub drop_pause: Range<'a>,
    pub rounds: Range<'a>,
    pub max_multiple: &'a RuleParameter,
    pub max_extensions: &'a RuleParameter,
    pub max_quota: &'a RuleParameter,
    pub max_steps: &'a RuleParameter,
    pub max_criteria: &'a RuleParameter,
    /// A soft close takes at least so long in all.
    pub soft_close: &'a RuleParameter,
    /// Free quoting inside the disclosure takes at least so many working days.
    pub dynamic_days: &'a RuleParameter,
    pub dynamic_cycle: &'a RuleParameter,
}

impl<'a> Figures<'a> {
    /// Reads the figures through `find`; one that is missing fails, and no other takes its place.
    pub fn read(find: impl Fn(&'static str) -> Result<&'a RuleParameter>) -> Result<Figures<'a>> {
        let range = |least, most| Ok::<_, kernel::Error>(Range { least: find(least)?, most: find(most)? });
        Ok(Figures {
            inquiry: range("bidding.inquiry.min_seconds", "bidding.inquiry.max_seconds")?,
            usual_inquiry: find("bidding.inquiry.seconds")?,
            window: range("bidding.soft_close.window.min_seconds", "bidding.soft_close.window.max_seconds")?,
            usual_window: find("bidding.soft_close.window_seconds")?,
            extension_total: range("bidding.extension.total.min_seconds", "bidding.extension.total.max_seconds")?,
            response: range("bidding.preemption.response.min_seconds", "bidding.preemption.response.max_seconds")?,
            usual_response: find("bidding.preemption.response_seconds")?,
            drop_pause: range("bidding.dutch.drop.min_seconds", "bidding.dutch.drop.max_seconds")?,
            rounds: range("bidding.rounds.min", "bidding.rounds.max")?,
            max_multiple: find("bidding.raise.max_multiple")?,
            max_extensions: find("bidding.extension.max_count")?,
            max_quota: find("bidding.preemption.max_quota")?,
            max_steps: find("bidding.ladder.max_steps")?,
            max_criteria: find("bidding.criteria.max")?,
            soft_close: find("bidding.soft_close.min_seconds")?,
            dynamic_days: find("bidding.dynamic.free.min_working_days")?,
            dynamic_cycle: find("bidding.dynamic.cycle.min_seconds")?,
        })
    }
}
