//! The loadable tables that rules stand on: working-day exceptions and rule parameters. The built-in
//! data fills what is absent; rows that an administrator loaded are kept.

use std::collections::HashSet;

use chrono::NaiveDate;
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, ModelTrait,
    sea_query::{IntoIden, OnConflict},
};

use crate::{
    Db, Error, Result, Transaction,
    calendar::{Calendar, CalendarDay},
    rules::{RuleParameter, Rulebook},
};

mod day {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "calendar_day")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub date: String,
        pub kind: String,
        pub name: String,
        pub source: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod parameter {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "rule_parameter")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub jurisdiction: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub effective_from: String,
        pub rule: String,
        pub parameter: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The built-in data alone.
pub fn builtin_reference() -> Result<(Calendar, Rulebook)> {
    Ok((Calendar::builtin().map_err(internal)?, Rulebook::builtin().map_err(internal)?))
}

/// Fills the tables where rows are missing and reads them.
pub async fn load_reference(db: &Db) -> Result<(Calendar, Rulebook)> {
    let (calendar, rules) = builtin_reference()?;
    let days = calendar.days().map(day_row).collect();
    let parameters: Result<Vec<_>> = rules.parameters().map(parameter_row).collect();
    let parameters = parameters?;
    let (mut stored_days, mut stored_parameters) = stored(db.read()).await?;
    let (days, parameters) = (absent(days, &stored_days), absent(parameters, &stored_parameters));
    if !days.is_empty() || !parameters.is_empty() {
        let tx = db.begin().await?;
        insert(&tx, days, [day::Column::Date]).await?;
        let key = [parameter::Column::Key, parameter::Column::Jurisdiction, parameter::Column::EffectiveFrom];
        insert(&tx, parameters, key).await?;
        (stored_days, stored_parameters) = stored(&tx).await?;
        tx.commit().await?;
    }
    let days: Result<Vec<CalendarDay>> = stored_days.into_iter().map(read_day).collect();
    let parameters: Result<Vec<RuleParameter>> = stored_parameters.into_iter().map(read_parameter).collect();
    Ok((Calendar::from_days(days?).map_err(internal)?, Rulebook::from_parameters(parameters?).map_err(internal)?))
}

async fn stored(db: &impl ConnectionTrait) -> Result<(Vec<day::Model>, Vec<parameter::Model>)> {
    Ok((day::Entity::find().all(db).await?, parameter::Entity::find().all(db).await?))
}

/// The rows with keys that none of the stored ones has.
fn absent<M: ModelTrait>(wanted: Vec<M>, stored: &[M]) -> Vec<M> {
    let stored: HashSet<_> = stored.iter().map(ModelTrait::get_primary_key_value).collect();
    wanted.into_iter().filter(|row| !stored.contains(&row.get_primary_key_value())).collect()
}

/// Another process may fill the tables at the same time.
async fn insert<M, A>(tx: &Transaction, rows: Vec<M>, key: impl IntoIterator<Item = impl IntoIden>) -> Result<()>
where
    M: IntoActiveModel<A>,
    A: ActiveModelTrait,
{
    if !rows.is_empty() {
        let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
        let insert = A::Entity::insert_many(rows).on_conflict(OnConflict::columns(key).do_nothing().to_owned());
        insert.exec_without_returning(tx).await?;
    }
    Ok(())
}

fn day_row(day: &CalendarDay) -> day::Model {
    let CalendarDay { date, kind, name, source } = day.clone();
    day::Model { date: date.to_string(), kind: kind.to_string(), name, source }
}

fn parameter_row(parameter: &RuleParameter) -> Result<parameter::Model> {
    Ok(parameter::Model {
        key: parameter.key.clone(),
        jurisdiction: parameter.jurisdiction.clone(),
        effective_from: parameter.effective_from.to_string(),
        rule: parameter.id.clone(),
        parameter: serde_json::to_string(parameter).map_err(internal)?,
    })
}

fn read_parameter(row: parameter::Model) -> Result<RuleParameter> {
    serde_json::from_str(&row.parameter).map_err(internal)
}

fn internal(error: impl ToString) -> Error {
    Error::Internal(error.to_string())
}

fn read_day(row: day::Model) -> Result<CalendarDay> {
    let date: NaiveDate = row.date.parse().map_err(|_| corrupt(&row.date))?;
    let kind = row.kind.parse().map_err(|_| corrupt(&row.kind))?;
    Ok(CalendarDay { date, kind, name: row.name, source: row.source })
}

fn corrupt(what: &str) -> Error {
    Error::Internal(format!("calendar_day holds {what:?}"))
}
