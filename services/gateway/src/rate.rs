//! Who pays for a request, and out of which budget. A request is charged for what it asks before it is executed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_graphql::ServerError;
use kernel::{Actor, Limiter, Verdict};
use moka::sync::Cache;

use crate::fault::limited;

/// How long a refused payer is refused again without a look at the request. Short, so that a heavy question does not
/// keep a small one, such as a bid, from being asked.
const REST: Duration = Duration::from_secs(1);

/// Points of cost that one may ask for in a minute, all at once or evenly; 0 is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// A signed-in person.
    pub person: u32,
    /// The organization for which a person acts first: all of its people together.
    pub organization: u32,
    /// An address: its anonymous callers and refused tokens.
    pub address: u32,
}

/// Keeps the budgets.
pub(crate) struct Meter {
    limiter: Limiter,
    rates: Rates,
    resting: Cache<String, Instant>,
}

/// One request's bill.
pub(crate) struct Charge {
    meter: Arc<Meter>,
    /// Whose budgets, and how large they are.
    payers: Vec<(String, u32)>,
    /// The least that it costs: reading a long document is work too.
    least: usize,
}

impl Meter {
    pub fn new(limiter: Limiter, rates: Rates) -> Arc<Meter> {
        Arc::new(Meter { limiter, rates, resting: Cache::builder().max_capacity(10_000).time_to_live(REST).build() })
    }

    /// The bill for a request of so many bytes.
    pub fn charge(self: &Arc<Self>, actor: &Actor, bytes: usize) -> Charge {
        let Rates { person, organization, address } = self.rates;
        let mut payers = Vec::new();
        if actor.is_known() {
            payers.push((format!("person/{}", actor.person_id), person));
            let acting = actor.memberships.first();
            payers.extend(acting.map(|acting| (format!("organization/{}", acting.organization_id), organization)));
        } else {
            payers.push((format!("address/{}", actor.address), address));
        }
        payers.retain(|(_, rate)| *rate > 0);
        Charge { meter: self.clone(), payers, least: bytes / 1_024 }
    }
}

impl Charge {
    /// Refuses who was refused a moment ago, before any work.
    pub fn rested(&self) -> Result<(), ServerError> {
        let left = |(bucket, _): &(String, u32)| {
            self.meter.resting.get(bucket)?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        };
        self.payers.iter().find_map(left).map_or(Ok(()), |left| Err(limited(left)))
    }

    /// Takes the points from every payer's budget.
    pub async fn take(&self, points: usize) -> Result<(), ServerError> {
        self.pay(u32::try_from(points.max(self.least)).unwrap_or(u32::MAX)).await
    }

    /// Takes what the lightest request costs, for what must not be told from it by whoever can read the budgets.
    pub async fn take_least(&self) -> Result<(), ServerError> {
        self.pay(1).await
    }

    async fn pay(&self, points: u32) -> Result<(), ServerError> {
        for (bucket, rate) in &self.payers {
            if let Verdict::Refused(wait) = self.meter.limiter.take(bucket, points, *rate).await {
                let payer = bucket.split('/').next().unwrap_or_default().to_owned();
                metrics::counter!("rate_limited_total", "payer" => payer).increment(1);
                self.meter.resting.insert(bucket.clone(), Instant::now() + wait);
                return Err(limited(wait));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::ActingFor;

    fn person(id: &str, organization: &str) -> Actor {
        let acting = ActingFor { organization_id: organization.into(), ..ActingFor::default() };
        Actor { person_id: id.into(), memberships: vec![acting], address: "192.0.2.1".into(), ..Actor::default() }
    }

    #[tokio::test]
    async fn each_pays_for_itself_and_an_organization_for_all_of_its_people() {
        let meter = Meter::new(Limiter::alone(), Rates { person: 100, organization: 150, address: 100 });
        let anonymous = Actor { address: "192.0.2.1".into(), ..Actor::default() };
        assert!(meter.charge(&person("a", "x"), 0).take(90).await.is_ok());
        assert!(meter.charge(&person("a", "x"), 0).take(20).await.is_err());
        assert!(meter.charge(&person("a", "x"), 0).rested().is_err(), "refused without a look");
        assert!(meter.charge(&person("b", "x"), 0).rested().is_ok());
        assert!(meter.charge(&person("b", "x"), 0).take(90).await.is_err(), "the organization has 150");
        assert!(meter.charge(&person("c", "y"), 0).take(90).await.is_ok());
        assert!(meter.charge(&anonymous, 0).take(90).await.is_ok(), "persons charge no address");
        assert!(meter.charge(&anonymous, 100 * 1_024).take(1).await.is_err(), "long documents cost");
        let unlimited = Meter::new(Limiter::alone(), Rates::default());
        assert!(unlimited.charge(&anonymous, 0).take(usize::MAX).await.is_ok());
    }
}
