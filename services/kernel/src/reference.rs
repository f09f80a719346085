//! The loadable tables that rules stand on: working-day exceptions and rule parameters. The built-in
//! data fills what is absent; rows that an administrator loaded are kept.

use chrono::NaiveDate;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait, sea_query::OnConflict};

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
    let calendar = Calendar::builtin().map_err(|error| Error::Internal(error.to_string()))?;
    let rules = Rulebook::builtin().map_err(|error| Error::Internal(error.to_string()))?;
    Ok((calendar, rules))
}

/// Fills the tables where rows are missing and reads them.
pub async fn load_reference(db: &Db) -> Result<(Calendar, Rulebook)> {
    let tx = db.begin().await?;
    let loaded = (load_calendar(&tx).await?, load_rules(&tx).await?);
    tx.commit().await?;
    Ok(loaded)
}

async fn load_calendar(tx: &Transaction) -> Result<Calendar> {
    let builtin = Calendar::builtin().map_err(|error| Error::Internal(error.to_string()))?;
    let rows = builtin.days().map(|day| day::ActiveModel {
        date: Set(day.date.to_string()),
        kind: Set(day.kind.to_string()),
        name: Set(day.name.clone()),
        source: Set(day.source.clone()),
    });
    day::Entity::insert_many(rows)
        .on_conflict(OnConflict::column(day::Column::Date).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    let stored = day::Entity::find().all(tx).await?;
    let days: Result<Vec<CalendarDay>> = stored.into_iter().map(read_day).collect();
    Calendar::from_days(days?).map_err(|error| Error::Internal(error.to_string()))
}

fn read_day(row: day::Model) -> Result<CalendarDay> {
    let date: NaiveDate = row.date.parse().map_err(|_| corrupt(&row.date))?;
    let kind = row.kind.parse().map_err(|_| corrupt(&row.kind))?;
    Ok(CalendarDay { date, kind, name: row.name, source: row.source })
}

async fn load_rules(tx: &Transaction) -> Result<Rulebook> {
    let builtin = Rulebook::builtin().map_err(|error| Error::Internal(error.to_string()))?;
    let rows: Result<Vec<_>> = builtin
        .parameters()
        .map(|parameter| {
            Ok(parameter::ActiveModel {
                key: Set(parameter.key.clone()),
                jurisdiction: Set(parameter.jurisdiction.clone()),
                effective_from: Set(parameter.effective_from.to_string()),
                rule: Set(parameter.id.clone()),
                parameter: Set(serde_json::to_string(parameter).map_err(|error| Error::Internal(error.to_string()))?),
            })
        })
        .collect();
    let unique = [parameter::Column::Key, parameter::Column::Jurisdiction, parameter::Column::EffectiveFrom];
    parameter::Entity::insert_many(rows?)
        .on_conflict(OnConflict::columns(unique).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    let stored = parameter::Entity::find().all(tx).await?;
    let parameters: Result<Vec<RuleParameter>, DbErr> = stored
        .into_iter()
        .map(|row| serde_json::from_str(&row.parameter).map_err(|error| DbErr::Custom(error.to_string())))
        .collect();
    Rulebook::from_parameters(parameters?).map_err(|error| Error::Internal(error.to_string()))
}

fn corrupt(what: &str) -> Error {
    Error::Internal(format!("calendar_day holds {what:?}"))
}
