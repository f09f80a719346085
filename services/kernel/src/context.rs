use std::sync::Arc;

use tokio::sync::Notify;

use crate::{
    Clock, Db, Error, ErrorCode, Instant, Refusal, Result, Vault,
    calendar::{Calendar, OutsideCalendar, cst_date},
    reference::{builtin_reference, load_reference},
    rules::{NATION, RuleParameter, Rulebook},
};

/// What every use case of a service stands on. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The service's name: the owner of its events.
    pub service: &'static str,
    /// The service's database.
    pub db: Db,
    /// The only source of time.
    pub clock: Clock,
    /// Working days.
    pub calendar: Arc<Calendar>,
    /// Effective-dated limits, periods and fees.
    pub rules: Arc<Rulebook>,
    /// Seals what must not lie open in the database.
    pub vault: Arc<Vault>,
    /// Wakes the event dispatcher after a commit.
    pub committed: Arc<Notify>,
}

impl Context {
    /// The ground on a database, with the calendar and the rules that are loaded there.
    pub async fn open(service: &'static str, db: Db, clock: Clock, vault: impl Into<Arc<Vault>>) -> Result<Context> {
        let vault = vault.into();
        db.bind(service, &clock, &vault);
        let (calendar, rules) = load_reference(&db).await?;
        let (calendar, rules) = (Arc::new(calendar), Arc::new(rules));
        Ok(Context { service, db, clock, calendar, rules, vault, committed: Arc::default() })
    }

    /// The ground of whoever only looks: nothing is written, and the calendar and the rules are the built-in ones.
    pub fn to_look(service: &'static str, db: Db, clock: Clock, vault: impl Into<Arc<Vault>>) -> Result<Context> {
        let (calendar, rules) = builtin_reference()?;
        let (calendar, rules, vault) = (Arc::new(calendar), Arc::new(rules), vault.into());
        Ok(Context { service, db, clock, calendar, rules, vault, committed: Arc::default() })
    }

    /// The same of whoever brings the schema up to date or takes rows in as they stand, the calendar's and the rules' among them.
    pub fn to_migrate(service: &'static str, db: Db, clock: Clock, vault: impl Into<Arc<Vault>>) -> Result<Context> {
        let context = Context::to_look(service, db, clock, vault)?;
        context.db.bind(service, &context.clock, &context.vault);
        Ok(context)
    }

    /// The same ground for another service.
    #[must_use]
    pub fn with_service(&self, service: &'static str) -> Context {
        Context { service, ..self.clone() }
    }

    /// The rule parameter in force at `now`. A missing one is a fault of the data, not of the caller.
    pub fn rule(&self, key: &str, now: Instant) -> Result<&RuleParameter> {
        self.rules.at(key, NATION, cst_date(now)).map_err(|missing| Error::Internal(missing.to_string()))
    }

    /// `days` working days after `start`, at the disclosure cut-off of China Standard Time.
    pub fn working_day_deadline(&self, start: Instant, days: u32) -> Result<Instant> {
        let cutoff = self.rule("disclosure.cutoff", start)?;
        let time = cutoff.time_of_day().ok_or_else(|| Error::Internal("disclosure.cutoff is no time".into()))?;
        Ok(self.calendar.deadline_working_days(start, days, time)?.value)
    }
}

impl From<OutsideCalendar> for Error {
    fn from(outside: OutsideCalendar) -> Error {
        let range = format!("{} – {}", outside.loaded.start(), outside.loaded.end());
        Refusal::new(ErrorCode::OutsideCalendar).accepting(range).into()
    }
}
