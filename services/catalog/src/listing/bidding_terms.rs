//! What a notice may say of bidding (SM-5): what is absent takes the rulebook's value, and what contradicts the mode,
//! the close rule or the sale method is refused. No I/O, no clock.

use kernel::{ErrorCode, Money, Refusal, Result, rules::RuleParameter};
use wire::v1::{
    BiddingMode, BiddingTerms, BiddingTermsInput, CloseRule, Criterion, CriterionInput, CriterionKind, IncrementStep,
    IncrementStepInput, PreemptionRule, SaleMethod,
};

use crate::listing::terms::{Notice, Terms};

mod check;
mod figures;

pub use figures::Figures;

/// What the transferor asks for, completed and found within the rules. Field paths of refusals begin at the listing's
/// input.
pub fn settle(asked: Option<&BiddingTermsInput>, notice: &Notice, figures: &Figures<'_>) -> Result<BiddingTermsInput> {
    if asked.is_some() && notice.sale_method == SaleMethod::Negotiated {
        // Trap 2: a negotiated sale has no bidding; 协议转让 and 网络竞价 stay distinct.
        let refusal = Refusal::new(ErrorCode::TermsContradict).at_field("bidding").by_rule("SM-5");
        return Err(refusal.accepting("ONLINE_BIDDING | AUCTION_HOUSE | TENDER").into());
    }
    let whole = complete(asked, notice, figures);
    check::check(&whole, notice, figures)?;
    Ok(whole)
}

/// The announced terms by the rules of today, which may have changed since they were settled. The secret reserve
/// stands as it was.
pub fn recheck(terms: &BiddingTerms, notice: &Notice, figures: &Figures<'_>) -> Result<()> {
    check::check(&asked_by(terms), notice, figures)
}

/// Settled terms as the notice announces them, with the commitment to their reserve.
#[must_use]
pub fn announce(settled: &BiddingTermsInput, terms: &Terms, reserve_commitment: Option<String>) -> BiddingTerms {
    let first = IncrementStep { from: Some(Money::ZERO), increment: Some(terms.increment) };
    let further = settled.increments.iter().map(|step| IncrementStep { from: step.from, increment: step.increment });
    let criterion = |given: &CriterionInput| Criterion {
        name: given.name.trim().to_owned(),
        kind: given.kind,
        weight_bp: given.weight_bp,
        lower_is_better: given.lower_is_better,
    };
    BiddingTerms {
        mode: settled.mode,
        close_rule: settled.close_rule.unwrap_or_default(),
        increments: std::iter::once(first).chain(further).collect(),
        max_multiple: settled.max_multiple.unwrap_or_default(),
        reserve_commitment,
        free_seconds: terms.free_seconds,
        timed_seconds: terms.timed_seconds,
        inquiry_seconds: settled.inquiry_seconds.unwrap_or_default(),
        extension_window_seconds: settled.extension_window_seconds.unwrap_or_default(),
        extension_trigger: settled.extension_trigger.unwrap_or_default(),
        max_extensions: settled.max_extensions.unwrap_or_default(),
        max_extension_seconds: settled.max_extension_seconds.unwrap_or_default(),
        preemption: settled.preemption.unwrap_or_default(),
        preemption_seconds: settled.preemption_seconds.unwrap_or_default(),
        preemption_quota: settled.preemption_quota.unwrap_or_default(),
        proxy_allowed: settled.proxy_allowed,
        withdrawal_allowed: settled.withdrawal_allowed,
        drop: settled.drop,
        drop_seconds: settled.drop_seconds.unwrap_or_default(),
        lowest_price: settled.lowest_price,
        rounds: settled.rounds.unwrap_or_default(),
        tie_rule: settled.tie_rule.unwrap_or_default(),
        criteria: settled.criteria.iter().map(criterion).collect(),
        consortium_allowed: settled.consortium_allowed,
        panel_quorum: settled.panel_quorum.unwrap_or_default(),
    }
}

/// What would have to be asked for to get these terms. A relisting asks for it again.
#[must_use]
pub fn asked_by(terms: &BiddingTerms) -> BiddingTermsInput {
    let some = |value: i32| (value != 0).then_some(value);
    let further = terms.increments.iter().skip(1);
    let criterion = |known: &Criterion| CriterionInput {
        name: known.name.clone(),
        kind: known.kind,
        weight_bp: known.weight_bp,
        lower_is_better: known.lower_is_better,
    };
    BiddingTermsInput {
        mode: terms.mode,
        close_rule: Some(terms.close_rule),
        increments: further.map(|step| IncrementStepInput { from: step.from, increment: step.increment }).collect(),
        max_multiple: some(terms.max_multiple),
        reserve_price: None,
        inquiry_seconds: some(terms.inquiry_seconds),
        extension_window_seconds: some(terms.extension_window_seconds),
        extension_trigger: some(terms.extension_trigger),
        max_extensions: some(terms.max_extensions),
        max_extension_seconds: some(terms.max_extension_seconds),
        preemption: Some(terms.preemption),
        preemption_seconds: some(terms.preemption_seconds),
        preemption_quota: some(terms.preemption_quota),
        proxy_allowed: terms.proxy_allowed,
        withdrawal_allowed: terms.withdrawal_allowed,
        drop: terms.drop,
        drop_seconds: some(terms.drop_seconds),
        lowest_price: terms.lowest_price,
        rounds: some(terms.rounds),
        tie_rule: some(terms.tie_rule),
        criteria: terms.criteria.iter().map(criterion).collect(),
        consortium_allowed: terms.consortium_allowed,
        panel_quorum: some(terms.panel_quorum),
    }
}

/// What is absent takes its usual value where the mode has a use for it.
fn complete(asked: Option<&BiddingTermsInput>, notice: &Notice, figures: &Figures<'_>) -> BiddingTermsInput {
    let (mode, close) = usual(notice.sale_method);
    let unasked = || BiddingTermsInput { mode: mode.into(), ..BiddingTermsInput::default() };
    let mut whole = asked.cloned().unwrap_or_else(unasked);
    let close = *whole.close_rule.get_or_insert(close.into());
    let preemption = *whole.preemption.get_or_insert(PreemptionRule::None.into());
    let seconds = |rule: &RuleParameter| i32::try_from(rule.value).unwrap_or(i32::MAX);
    if close == i32::from(CloseRule::InquiryThenTimed) {
        whole.inquiry_seconds.get_or_insert(seconds(figures.usual_inquiry));
    }
    if close == i32::from(CloseRule::SoftClose) {
        whole.extension_window_seconds.get_or_insert(seconds(figures.usual_window));
    }
    if preemption == i32::from(PreemptionRule::AfterSession) {
        whole.preemption_seconds.get_or_insert(seconds(figures.usual_response));
    }
    if whole.criteria.iter().any(|criterion| criterion.kind == i32::from(CriterionKind::Panel)) {
        whole.panel_quorum.get_or_insert(1);
    }
    whole
}

/// How a thing is usually sold by each method.
fn usual(method: SaleMethod) -> (BiddingMode, CloseRule) {
    match method {
        SaleMethod::OnlineBidding | SaleMethod::Negotiated => (BiddingMode::Ascending, CloseRule::TwoStage),
        SaleMethod::AuctionHouse => (BiddingMode::Ascending, CloseRule::Hammer),
        SaleMethod::Tender => (BiddingMode::SealedSingle, CloseRule::TwoStage),
    }
}

#[cfg(test)]
#[path = "bidding_terms_tests.rs"]
mod tests;
