//! What an organization has under way in the other services, asked of each as it is now.

use kernel::{Actor, ErrorCode, Refusal, Result};
use wire::{Clients, v1};

/// More than anybody reads at once.
const MOST_NAMED: usize = 10;

/// Listings, applications, awards, deals and deposits on hold that have not ended: which, where they stand, what ends them.
pub async fn open(clients: &Clients, organization: &str) -> Result<Vec<String>> {
    let wanted = || Actor::exchange().asks(v1::OpenBusinessRequest { organization_id: organization.to_owned() });
    let Clients { catalog, auction, contracting, ledger, .. } = clients.clone();
    let (mut catalog, mut auction, mut contracting, mut ledger) = (catalog, auction, contracting, ledger);
    let (listings, awards, deals, deposits) = tokio::try_join!(
        catalog.get_open_business(wanted()),
        auction.get_open_business(wanted()),
        contracting.get_open_business(wanted()),
        ledger.get_open_business(wanted()),
    )?;
    Ok([listings, awards, deals, deposits].into_iter().flat_map(|reply| reply.into_inner().open).collect())
}

/// Why an organization with anything open is not closed: what is open and how it ends, first of all a suspension's way.
pub fn refusal(open: &[String]) -> Option<Refusal> {
    let more = open.len().saturating_sub(MOST_NAMED);
    let mut named: Vec<&str> = open.iter().take(MOST_NAMED).map(String::as_str).collect();
    let rest = format!("… +{more}");
    if more > 0 {
        named.push(&rest);
    }
    let refusal = Refusal::new(ErrorCode::BusinessUnderWay).at_field("organizationId");
    (!open.is_empty()).then(|| refusal.accepting(named.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_named_and_the_rest_is_counted() {
        assert!(refusal(&[]).is_none());
        let open: Vec<String> = (0..12).map(|n| format!("deal_{n} SIGNED → SETTLED")).collect();
        let said = refusal(&open).unwrap().accepted.unwrap();
        assert!(said.starts_with("deal_0 SIGNED → SETTLED; deal_1 ") && said.ends_with("; … +2"), "{said}");
        assert_eq!(refusal(&open[..1]).unwrap().accepted.unwrap(), open[0]);
    }
}
