//! Code lists that the operator loads: from then on only codes of the list are accepted.

use std::collections::BTreeMap;

use kernel::{Actor, Call, Context, ErrorCode, Refusal, Result, text};
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    organization::code_list::{CodeEntry, CodeList},
    store::code::{self, is_acceptable, replace_codes},
};

/// The code, if it has the form of the list's codes and, once the list is loaded, stands in it.
pub async fn checked(db: &impl ConnectionTrait, list: CodeList, typed: &str) -> Result<String> {
    let code = list.form(typed)?;
    if is_acceptable(db, list.name(), list.listed(&code)).await? { Ok(code) } else { Err(list.refusal().into()) }
}

/// Puts a list in the place of the one loaded before; how many codes it has. A code that comes twice keeps its first
/// name.
pub async fn load(cx: &Context, list: CodeList, entries: Vec<CodeEntry>) -> Result<usize> {
    let mut rows = BTreeMap::new();
    for CodeEntry { code, name, level } in entries {
        let row = code::Model {
            list: list.name().to_owned(),
            code: text(&code, "code", 1, 6)?,
            name: text(&name, "name", 1, 200)?,
            level: text(&level, "level", 1, 20)?,
        };
        rows.entry(row.code.clone()).or_insert(row);
    }
    if rows.is_empty() {
        return Err(Refusal::new(ErrorCode::Required).at_field("code").into());
    }
    let count = rows.len();
    let call = Call::begin(&cx.with_service("identity"), Actor::exchange()).await?;
    replace_codes(&call.tx, list.name(), rows.into_values().collect()).await?;
    call.record("CodesLoaded", list.name(), json!({ "codes": count })).await?;
    call.commit().await?;
    Ok(count)
}
