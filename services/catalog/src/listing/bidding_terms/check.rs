//! The rules of SM-5 for a notice, one after another in the order of the fields.

use kernel::{Error, ErrorCode, Money, Refusal, Result, rules::RuleParameter};
use wire::v1::{
    BiddingMode::{self, *},
    BiddingTermsInput,
    CloseRule::{self, *},
    ConversionMode, CriterionKind, ExtensionTrigger,
    PreemptionRule::{self, AfterSession, InSession},
    SaleMethod, TieRule,
};

use super::figures::{Figures, Range};
use crate::{
    achievement::import_record::known,
    listing::terms::{LARGEST, LONGEST_FREE, Notice},
};

const OPEN: &str = "ASCENDING | DYNAMIC_LISTING | REVERSE";
const SEALED: &str = "SEALED_SINGLE | MULTI_ROUND_SEALED | WEIGHTED | EVALUATION";
const SCORED: &str = "WEIGHTED | EVALUATION";
/// Nobody appoints a larger panel.
const LARGEST_PANEL: i32 = 15;

/// Refuses the first term that a rule does not allow.
pub fn check(input: &BiddingTermsInput, notice: &Notice, figures: &Figures<'_>) -> Result<()> {
    let view = View {
        input,
        notice,
        figures,
        mode: known(input.mode, "bidding.mode")?,
        close: known(input.close_rule.unwrap_or_default(), "bidding.closeRule")?,
        preemption: known(input.preemption.unwrap_or_default(), "bidding.preemption")?,
    };
    view.sale_method()?;
    view.close_rule()?;
    view.ladder()?;
    view.reserve()?;
    view.extension()?;
    view.preemption()?;
    view.promises()?;
    view.dutch()?;
    view.sealed()?;
    view.criteria()?;
    view.panel()
}

/// The terms with what decides which of them have a meaning.
struct View<'a> {
    input: &'a BiddingTermsInput,
    notice: &'a Notice,
    figures: &'a Figures<'a>,
    mode: BiddingMode,
    close: CloseRule,
    preemption: PreemptionRule,
}

impl View<'_> {
    /// Whether every bid is seen, and each must beat the last.
    fn is_open(&self) -> bool {
        matches!(self.mode, Ascending | DynamicListing | Reverse)
    }

    fn is_sealed(&self) -> bool {
        matches!(self.mode, SealedSingle | MultiRoundSealed) || self.is_scored()
    }

    fn is_scored(&self) -> bool {
        matches!(self.mode, Weighted | Evaluation)
    }

    /// Trap 2: an auction proper is a licensed house's, whose auctioneer's hammer ends it, and nobody else's; a tender
    /// takes sealed offers alone.
    fn sale_method(&self) -> Result<()> {
        match self.notice.sale_method {
            SaleMethod::AuctionHouse if self.mode != Ascending => Err(contradiction("bidding.mode", "ASCENDING")),
            SaleMethod::AuctionHouse if self.close != Hammer => Err(contradiction("bidding.closeRule", "HAMMER")),
            SaleMethod::Tender if !self.is_sealed() => Err(contradiction("bidding.mode", SEALED)),
            method if self.close == Hammer && method != SaleMethod::AuctionHouse => {
                Err(contradiction("bidding.closeRule", "TWO_STAGE | SOFT_CLOSE | INQUIRY_THEN_TIMED"))
            }
            _ if self.mode == OpenLicence && self.notice.conversion_mode != ConversionMode::License => {
                Err(contradiction("conversionMode", "LICENSE"))
            }
            _ => Ok(()),
        }
    }

    fn close_rule(&self) -> Result<()> {
        let (terms, figures) = (&self.notice.terms, self.figures);
        if !self.is_open() && self.close != TwoStage {
            return Err(contradiction("bidding.closeRule", "TWO_STAGE"));
        }
        if self.mode == DynamicListing {
            if !matches!(self.close, TwoStage | InquiryThenTimed) {
                return Err(contradiction("bidding.closeRule", "TWO_STAGE | INQUIRY_THEN_TIMED"));
            }
            // The free period lies inside the disclosure.
            let days = figures.dynamic_days;
            if i64::from(terms.disclosure_days) < days.value {
                let refusal = Refusal::new(ErrorCode::PeriodTooShort).at_field("disclosureDays").by_rule(&days.id);
                return Err(refusal.accepting(format!("≥ {}", days.value)).into());
            }
            let cycle = figures.dynamic_cycle;
            if i64::from(terms.timed_seconds) < cycle.value {
                let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field("timedSeconds").by_rule(&cycle.id);
                return Err(refusal.accepting(format!("≥ {}", cycle.value)).into());
            }
        }
        if self.close == SoftClose && i64::from(terms.free_seconds) < figures.soft_close.value {
            return Err(contradiction("freeSeconds", format!("≥ {}", figures.soft_close.value)));
        }
        let asks = self.close == InquiryThenTimed;
        self.fits("inquirySeconds", self.input.inquiry_seconds.is_some(), asks, "INQUIRY_THEN_TIMED")?;
        lasts("inquirySeconds", self.input.inquiry_seconds, figures.inquiry)
    }

    /// The ladder rises from step to step.
    fn ladder(&self) -> Result<()> {
        let (steps, figures) = (&self.input.increments, self.figures);
        self.fits("increments", !steps.is_empty(), self.is_open(), OPEN)?;
        counts("increments", i32::try_from(steps.len()).ok(), (0, figures.max_steps.value), figures.max_steps)?;
        let mut below = Money::ZERO;
        for (n, step) in steps.iter().enumerate() {
            let (from, field) = (amount(step.from, &format!("increments.{n}.from"))?, format!("increments.{n}.from"));
            if from <= below {
                return Err(contradiction(&format!("bidding.{field}"), format!("> {below}")));
            }
            amount(step.increment, &format!("increments.{n}.increment"))?;
            below = from;
        }
        self.fits("maxMultiple", self.input.max_multiple.is_some(), self.is_open(), OPEN)?;
        counts("maxMultiple", self.input.max_multiple, (1, figures.max_multiple.value), figures.max_multiple)
    }

    /// Trap 4: the secret reserve is another thing than the public floor. A falling or fixed price has no use for one.
    fn reserve(&self) -> Result<()> {
        let Some(price) = self.input.reserve_price else { return Ok(()) };
        let takes_one = self.is_open() || self.is_sealed();
        self.fits("reservePrice", true, takes_one, &format!("{OPEN} | {SEALED}"))?;
        let (price, floor) = (amount(Some(price), "reservePrice")?, self.notice.terms.floor_price);
        if self.mode == Reverse {
            return match price > floor {
                true => Err(contradiction("bidding.reservePrice", format!("≤ {floor}"))),
                false => Ok(()),
            };
        }
        if price < floor {
            let refusal = Refusal::new(ErrorCode::ReserveBelowFloor).at_field("bidding.reservePrice").by_rule("SM-5");
            return Err(refusal.accepting(format!("≥ {floor}")).into());
        }
        Ok(())
    }

    /// What moves the end, and how far.
    fn extension(&self) -> Result<()> {
        let (input, figures) = (self.input, self.figures);
        let window = input.extension_window_seconds;
        self.fits("extensionWindowSeconds", window.is_some(), self.close == SoftClose, "SOFT_CLOSE")?;
        lasts("extensionWindowSeconds", window, figures.window)?;
        if window.is_some_and(|window| window > self.notice.terms.free_seconds) {
            let free = self.notice.terms.free_seconds;
            return Err(contradiction("bidding.extensionWindowSeconds", format!("≤ {free}")));
        }
        let moves = self.is_open() && self.close != Hammer;
        if let Some(trigger) = input.extension_trigger {
            known::<ExtensionTrigger>(trigger, "bidding.extensionTrigger")?;
            self.fits("extensionTrigger", true, moves, "TWO_STAGE | SOFT_CLOSE | INQUIRY_THEN_TIMED")?;
        }
        self.fits("maxExtensions", input.max_extensions.is_some(), moves, OPEN)?;
        counts("maxExtensions", input.max_extensions, (1, figures.max_extensions.value), figures.max_extensions)?;
        self.fits("maxExtensionSeconds", input.max_extension_seconds.is_some(), moves, OPEN)?;
        lasts("maxExtensionSeconds", input.max_extension_seconds, figures.extension_total)
    }

    /// A preemption right is a buyer's among buyers: an open licence has no rivals, a demand no buyers.
    fn preemption(&self) -> Result<()> {
        let (input, figures) = (self.input, self.figures);
        let accepted = match (self.mode, self.preemption) {
            (OpenLicence | Reverse, InSession | AfterSession) => Some("NONE"),
            (mode, InSession) if !matches!(mode, Ascending | DynamicListing) => Some("NONE | AFTER_SESSION"),
            _ => None,
        };
        if let Some(accepted) = accepted {
            return Err(contradiction("bidding.preemption", accepted));
        }
        let (after, within) = (self.preemption == AfterSession, self.preemption == InSession);
        self.fits("preemptionSeconds", input.preemption_seconds.is_some(), after, "AFTER_SESSION")?;
        lasts("preemptionSeconds", input.preemption_seconds, figures.response)?;
        self.fits("preemptionQuota", input.preemption_quota.is_some(), within, "IN_SESSION")?;
        counts("preemptionQuota", input.preemption_quota, (1, figures.max_quota.value), figures.max_quota)
    }

    fn promises(&self) -> Result<()> {
        self.fits("proxyAllowed", self.input.proxy_allowed, self.is_open(), OPEN)?;
        if self.input.proxy_allowed && self.input.max_multiple.is_some() {
            // A capped raise could not reach what the engine must answer with.
            return Err(contradiction("bidding.proxyAllowed", "false"));
        }
        self.fits("withdrawalAllowed", self.input.withdrawal_allowed, self.is_open(), OPEN)?;
        if self.input.withdrawal_allowed && self.notice.sale_method == SaleMethod::AuctionHouse {
            // 拍卖法 36: at an auction proper a bid once made is not withdrawn.
            return Err(contradiction("bidding.withdrawalAllowed", "false"));
        }
        Ok(())
    }

    /// The price falls from the floor price to the lowest in whole drops, within the longest free period.
    fn dutch(&self) -> Result<()> {
        let (input, falls) = (self.input, self.mode == Dutch);
        self.needs("drop", input.drop.is_some(), falls, "DUTCH")?;
        self.needs("dropSeconds", input.drop_seconds.is_some(), falls, "DUTCH")?;
        self.needs("lowestPrice", input.lowest_price.is_some(), falls, "DUTCH")?;
        if !falls {
            return Ok(());
        }
        let floor = self.notice.terms.floor_price;
        let (drop, lowest) = (amount(input.drop, "drop")?, amount(input.lowest_price, "lowestPrice")?);
        lasts("dropSeconds", input.drop_seconds, self.figures.drop_pause)?;
        if lowest >= floor {
            return Err(contradiction("bidding.lowestPrice", format!("< {floor}")));
        }
        let distance = floor.0.saturating_sub(lowest.0);
        if distance.checked_rem(drop.0) != Some(0) {
            return Err(contradiction("bidding.lowestPrice", format!("{floor} − n × {drop}")));
        }
        let drops = distance.checked_div(drop.0).unwrap_or(i64::MAX);
        if drops.saturating_mul(i64::from(input.drop_seconds.unwrap_or_default())) > LONGEST_FREE {
            let longest = LONGEST_FREE.checked_div(drops).unwrap_or_default();
            return Err(contradiction("bidding.dropSeconds", format!("≤ {longest}")));
        }
        Ok(())
    }

    fn sealed(&self) -> Result<()> {
        let input = self.input;
        self.needs("rounds", input.rounds.is_some(), self.mode == MultiRoundSealed, "MULTI_ROUND_SEALED")?;
        let rounds = self.figures.rounds;
        counts("rounds", input.rounds, (rounds.least.value, rounds.most.value), rounds.least)?;
        if let Some(rule) = input.tie_rule {
            known::<TieRule>(rule, "bidding.tieRule")?;
            self.fits("tieRule", true, self.is_sealed(), SEALED)?;
        }
        Ok(())
    }

    /// The weights of published criteria are the whole.
    fn criteria(&self) -> Result<()> {
        let criteria = &self.input.criteria;
        self.needs("criteria", !criteria.is_empty(), self.is_scored(), SCORED)?;
        let most = self.figures.max_criteria;
        counts("criteria", i32::try_from(criteria.len()).ok(), (0, most.value), most)?;
        let (mut names, mut prices, mut whole) = (Vec::new(), 0, 0);
        for (n, criterion) in criteria.iter().enumerate() {
            let field = |name: &str| format!("bidding.criteria.{n}.{name}");
            let name = kernel::text(&criterion.name, &field("name"), 1, 40)?;
            if names.contains(&name) {
                return Err(Refusal::new(ErrorCode::AlreadyExists).at_field(&field("name")).by_rule("SM-5").into());
            }
            names.push(name);
            match known(criterion.kind, &field("kind"))? {
                CriterionKind::Price => prices += 1,
                CriterionKind::Panel if self.mode != Evaluation => {
                    return Err(contradiction(&field("kind"), "PRICE | NUMBER"));
                }
                CriterionKind::Panel if criterion.lower_is_better => {
                    return Err(contradiction(&field("lowerIsBetter"), "false"));
                }
                CriterionKind::Number | CriterionKind::Panel => {}
            }
            if prices > 1 {
                return Err(contradiction(&field("kind"), "PRICE × 1"));
            }
            if !(1..=10_000).contains(&criterion.weight_bp) {
                let refusal = Refusal::new(ErrorCode::InvalidInput).at_field(&field("weightBp")).by_rule("SM-5");
                return Err(refusal.accepting("1–10000").into());
            }
            whole += i64::from(criterion.weight_bp);
        }
        if self.is_scored() && whole != 10_000 {
            return Err(contradiction("bidding.criteria", "Σ weightBp = 10000"));
        }
        Ok(())
    }

    /// How many of a panel must score every offer.
    fn panel(&self) -> Result<()> {
        let panel = self.input.criteria.iter().any(|criterion| criterion.kind == i32::from(CriterionKind::Panel));
        self.fits("panelQuorum", self.input.panel_quorum.is_some(), panel, "criteria: PANEL")?;
        match self.input.panel_quorum {
            Some(quorum) if !(1..=LARGEST_PANEL).contains(&quorum) => {
                let refusal = Refusal::new(ErrorCode::InvalidInput).at_field("bidding.panelQuorum").by_rule("SM-5");
                Err(refusal.accepting(format!("1–{LARGEST_PANEL}")).into())
            }
            _ => Ok(()),
        }
    }

    /// A term that is given must have a meaning.
    fn fits(&self, field: &str, given: bool, meaningful: bool, place: &str) -> Result<()> {
        match given && !meaningful {
            true => Err(contradiction(&format!("bidding.{field}"), place)),
            false => Ok(()),
        }
    }

    /// A term must be given exactly where it has a meaning.
    fn needs(&self, field: &str, given: bool, meaningful: bool, place: &str) -> Result<()> {
        match given == meaningful {
            true => Ok(()),
            false => Err(contradiction(&format!("bidding.{field}"), place)),
        }
    }
}

fn contradiction(field: &str, accepted: impl Into<String>) -> Error {
    Refusal::new(ErrorCode::TermsContradict).at_field(field).by_rule("SM-5").accepting(accepted).into()
}

fn amount(value: Option<Money>, field: &str) -> Result<Money> {
    let field = format!("bidding.{field}");
    let value = value.ok_or_else(|| Refusal::new(ErrorCode::Required).at_field(&field))?;
    if (1..=LARGEST.0).contains(&value.0) {
        return Ok(value);
    }
    let refusal = Refusal::new(ErrorCode::AmountOutOfRange).at_field(&field).by_rule("SM-5");
    Err(refusal.accepting(format!("0.01–{LARGEST}")).into())
}

fn lasts(field: &str, seconds: Option<i32>, range: Range<'_>) -> Result<()> {
    bounded(ErrorCode::PeriodOutOfRange, field, seconds, (range.least.value, range.most.value), range.least)
}

fn counts(field: &str, count: Option<i32>, bounds: (i64, i64), rule: &RuleParameter) -> Result<()> {
    bounded(ErrorCode::InvalidInput, field, count, bounds, rule)
}

fn bounded(
    code: ErrorCode,
    field: &str,
    value: Option<i32>,
    (least, most): (i64, i64),
    rule: &RuleParameter,
) -> Result<()> {
    match value {
        Some(value) if !(least..=most).contains(&i64::from(value)) => {
            let refusal = Refusal::new(code).at_field(&format!("bidding.{field}")).by_rule(&rule.id);
            Err(refusal.accepting(format!("{least}–{most}")).into())
        }
        _ => Ok(()),
    }
}
