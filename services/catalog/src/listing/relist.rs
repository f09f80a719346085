//! The transferor offers an unsold listing again (SM-3).

use chrono::Months;
use kernel::{Call, Error, ErrorCode, Id, Money, Refusal, Result, calendar::cst_date, text};
use wire::{
    id::ListingId,
    policy::{self, Of, permit},
    v1::{self, ListingStatus},
};

use crate::{
    listing::{
        announced_bidding, bidding_terms,
        draft::{Draft, facts, limits, visible},
        terms::{Notice, Terms, given},
    },
    store::{self, Listing},
};

/// Drafts the lot anew with the same terms and another floor price. The deposit and the disclosure follow the price
/// as far as the rules make them.
pub async fn relist(call: &Call, input: v1::RelistInput) -> Result<v1::Listing> {
    call.actor.require_known()?;
    let id = ListingId::parse(&input.listing_id, "listingId")?;
    let row = visible(call, id).await?;
    permit(&call.actor, policy::RELIST, Of::organization(&row.organization_id.text(), "listingId"))?;
    if row.status_at(call.now) != ListingStatus::Unsold {
        let refusal = Refusal::new(ErrorCode::IllegalTransition).at_field("listingId").by_rule("SM-3");
        return Err(refusal.accepting(ListingStatus::Unsold.stored()).into());
    }
    if store::is_relisted(&call.tx, id).await? {
        return Err(Refusal::new(ErrorCode::AlreadyExists).at_field("listingId").by_rule("SM-3").into());
    }
    let first = store::origin(&call.tx, &row).await?;
    require_appraisal(call, &first)?;
    let floor = given(input.floor_price, "floorPrice")?;
    let approval = input.approval.as_deref().map(|number| text(number, "approval", 2, 100)).transpose()?;
    let terms = terms_at(call, &row, floor)?;
    require_approval(call, (row.floor_price, first.floor_price), floor, approval.is_some())?;
    let anew = draft(call, row, terms, approval)?;
    if !store::insert_listing(&call.tx, anew.clone()).await? {
        return Err(Error::Internal("a listing under no mandate was not inserted".into()));
    }
    call.record("ListingRelisted", &anew.id.text(), facts(&anew)).await?;
    Ok(anew.shown(call.now))
}

/// G5: an appraisal holds for a year from the first disclosure of the lot; then it is offered as a new one.
fn require_appraisal(call: &Call, first: &Listing) -> Result<()> {
    let months = call.cx.rule("relisting.appraisal_valid.months", call.now)?;
    let disclosed = first.disclosed_at.unwrap_or(first.created_at);
    let last = cst_date(disclosed).checked_add_months(Months::new(months.as_u32()));
    if last.is_some_and(|last| cst_date(call.now) <= last) {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorCode::PeriodOutOfRange).at_field("listingId").by_rule(&months.id);
    Err(refusal.accepting(last.map_or_else(String::new, |last| format!("≤ {last}"))).into())
}

/// G4: below nine tenths of the appraised price, for which the lot's first floor price stands here, a cut needs an
/// approval document. A price that was approved once is not cut again by keeping it.
fn require_approval(call: &Call, (last, first): (Money, Money), floor: Money, approved: bool) -> Result<()> {
    let share = call.cx.rule("relisting.floor.min_bp_of_appraisal", call.now)?;
    let least = least_price(last.max(first), share.value);
    if approved || floor >= last || floor >= least {
        return Ok(());
    }
    let refusal = Refusal::new(ErrorCode::PriceCutTooDeep).at_field("floorPrice").by_rule(&share.id);
    Err(refusal.accepting(format!("≥ {least}")).into())
}

/// The share of a price, rounded up to the fen.
fn least_price(price: Money, bp: i64) -> Money {
    let exact = i128::from(price.0) * i128::from(bp);
    Money(i64::try_from((exact + 9_999) / 10_000).unwrap_or(i64::MAX))
}

/// The terms at another floor price: the deposit is capped by it, and a dearer thing is disclosed for longer.
fn terms_at(call: &Call, row: &Listing, floor_price: Money) -> Result<Terms> {
    let limits = limits(call)?;
    let least = i32::try_from(limits.disclosure(floor_price).value).unwrap_or(i32::MAX);
    let terms = Terms {
        floor_price,
        deposit: row.deposit.min(limits.deposit_cap(floor_price)),
        disclosure_days: row.disclosure_days.max(least),
        ..row.terms()
    };
    terms.check(&limits).map_err(at_floor)?;
    Ok(terms)
}

fn draft(call: &Call, row: Listing, terms: Terms, approval: Option<String>) -> Result<Listing> {
    let id = ListingId::fresh();
    let reserve = row.reserve(&call.cx.vault)?;
    let asked = v1::BiddingTermsInput {
        reserve_price: reserve.map(|reserve| reserve.price()),
        ..bidding_terms::asked_by(&row.announced()?)
    };
    let notice = Notice { terms, ..row.notice() };
    // A negotiated sale announces no bidding, so there is nothing to ask for.
    let asked = (notice.sale_method != v1::SaleMethod::Negotiated).then_some(&asked);
    let bidding = announced_bidding::settle(call, id, asked, &notice).map_err(at_floor)?;
    let (round, relists_id, origin_id) = (row.round + 1, Some(row.id), row.origin_id);
    let anew = Draft {
        id,
        organization_id: row.organization_id,
        centre_id: row.centre_id,
        mandate_id: None,
        achievement_id: row.achievement_id,
        title: row.title,
        summary: row.summary,
        field: row.field,
        stage: row.stage,
        region: row.region,
        notice,
        bidding,
        author_id: call.actor.person_id.clone(),
    };
    Ok(Listing { round, relists_id, origin_id, approval, ..anew.listing(call.now) })
}

/// The one term that can be at fault is the new price.
fn at_floor(error: Error) -> Error {
    match error {
        Error::Refused(refusal) => Error::from(refusal.at_field("floorPrice")),
        fault => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_price_is_the_share_to_the_fen() {
        for (price, least) in [(100, 90), (101, 91), (99, 90), (1, 1), (i64::MAX, 8_301_034_833_169_298_227)] {
            assert_eq!(least_price(Money(price), 9_000), Money(least), "{price}");
        }
    }
}
