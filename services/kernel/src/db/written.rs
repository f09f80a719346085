//! What a transaction read and wrote, kept until it commits: its events, and of every bound row the key and the mark. Then
//! what it found is held against the index, and what it wrote goes into the log together (promise P-5): the last event tells
//! of the rows, and the index says which event tells of which row.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, QueryResult, Statement, Value};
use uuid::Uuid;

use super::{
    Transaction, row,
    seen::{Checked, RowKey, Seen, record_altered, written_meanwhile},
    statement::{IS_INSERTED, Kind, Read, Write},
};
use crate::{
    Clock, Result, Vault,
    audit_log::proof,
    event::{self, Rows, WrittenRow},
};

/// Most rows in one statement: SQLite takes 32,766 values, and each row has four.
const MOST: usize = 1_000;

/// With what rows are bound to the log.
pub(crate) struct Binding {
    /// In whose log it is told that rows were written, where nothing else was recorded.
    pub service: &'static str,
    pub clock: Clock,
    pub vault: Arc<Vault>,
}

/// What was written so far, and what was found.
#[derive(Default)]
pub(super) struct Written {
    events: Vec<event::row::Model>,
    rows: BoundRows,
    /// Of what others had left.
    seen: Seen,
}

/// Each with the mark that its row has, or none if it is gone.
type BoundRows = BTreeMap<RowKey, Option<Vec<u8>>>;

impl Written {
    /// Takes in rows that were read; what the transaction itself wrote says nothing of others.
    pub fn find(&mut self, vault: &Vault, read: Read, rows: &[QueryResult]) -> Result<(), DbErr> {
        for found in rows {
            let (name, key) = (read.table.name, row::key(read.table, found)?);
            if !self.rows.contains_key(&(name, key.clone())) {
                self.seen.take(vault, read, key, found);
            }
        }
        Ok(())
    }

    /// Notes that a row was asked for by its key, and is not there.
    pub fn miss(&mut self, read: Read, key: Vec<u8>) {
        if !self.rows.contains_key(&(read.table.name, key.clone())) {
            self.seen.note_missing(read, key);
        }
    }

    /// Takes in rows that were written.
    pub fn take(&mut self, vault: &Vault, write: Write, rows: &[QueryResult]) -> Result<()> {
        for left in rows {
            let row = (write.table.name, row::key(write.table, left)?);
            match write.kind {
                _ if self.rows.contains_key(&row) || self.seen.holds(&row) => {}
                Kind::Insert => self.seen.note_absent(row.clone()),
                // On SQLite there is no other writer.
                Kind::Upsert if left.try_get("", IS_INSERTED).unwrap_or(true) => self.seen.note_absent(row.clone()),
                Kind::Upsert | Kind::Update | Kind::Delete => return Err(written_meanwhile(row.0)),
            }
            let is_gone = write.kind == Kind::Delete;
            let mark = if is_gone { None } else { Some(row::mark(vault, write.table, left)?.to_vec()) };
            self.rows.insert(row, mark);
        }
        Ok(())
    }

    pub fn tell_of(&mut self, table: &'static str, key: Vec<u8>, mark: Option<Vec<u8>>) {
        self.rows.insert((table, key), mark);
    }

    pub fn record(&mut self, event: event::row::Model) {
        self.events.push(event);
    }
}

/// Requires that what was found is as the exchange left it, and writes the events with the rows of which the last one tells.
/// Returns the ids of the events.
pub(super) async fn settle(tx: &Transaction, binding: Option<&Binding>, written: Written) -> Result<Vec<Uuid>> {
    let Some(binding) = binding else { return Ok(Vec::new()) };
    let Written { mut events, rows, seen } = written;
    let checked = unaltered(tx, binding, seen).await?;
    if events.is_empty() && rows.is_empty() {
        return Ok(Vec::new());
    }
    if !rows.is_empty() {
        let mut last = match events.pop() {
            Some(event) => event,
            None => event::row::Model::rows_written(binding.service, binding.clock.now()),
        };
        last.rows = Some(Rows { rows: index(tx, (rows, &checked), last.id).await? }.encode_to_vec());
        events.push(last);
    }
    for event in &mut events {
        event.mark = Some(event.made_mark(&binding.vault).to_vec());
    }
    let ids = events.iter().map(|event| event.id).collect();
    let events = events.into_iter().map(IntoActiveModel::into_active_model);
    event::row::Entity::insert_many(events).exec_without_returning(tx).await?;
    Ok(ids)
}

/// Requires of a transaction that is to be undone that what it found is as the exchange left it.
pub(super) async fn require_unaltered(tx: &Transaction, binding: Option<&Binding>, written: Written) -> Result<()> {
    let Some(binding) = binding else { return Ok(()) };
    unaltered(tx, binding, written.seen).await.map(drop)
}

async fn unaltered(tx: &Transaction, binding: &Binding, seen: Seen) -> Result<Checked> {
    let checked = seen.check(tx, &binding.vault).await?;
    // On SQLite nobody else writes meanwhile.
    let locked = if tx.get_database_backend() == DbBackend::Postgres { " FOR SHARE" } else { "" };
    checked.require_undoubted(tx, &binding.vault, locked).await?;
    Ok(checked)
}

/// Notes in the index which event tells of the rows, and how often each was written: once more than when it was checked.
async fn index(tx: &Transaction, (rows, checked): (BoundRows, &Checked), event: Uuid) -> Result<Vec<WrittenRow>> {
    let unseen = rows.keys().filter(|row| checked.entry(row).is_none());
    let unseen = proof::of_rows(tx, unseen.map(|(table, key)| ((*table).to_owned(), key.clone())).collect()).await?;
    let told = rows.into_iter().map(|(row, mark)| {
        let (table, key) = (row.0.to_owned(), row.1.clone());
        let (version, before) = checked.entry(&row).cloned().unwrap_or_else(|| {
            unseen.get(&(table.clone(), key.clone())).map_or((0, None), |entry| (entry.version, entry.mark.clone()))
        });
        let version = version.checked_add(1).ok_or_else(|| record_altered(&row::named(&table, &key), None))?;
        Ok(WrittenRow { table, key, version, mark, before })
    });
    let told: Vec<_> = told.collect::<Result<_>>()?;
    for rows in told.chunks(MOST) {
        let mut values: Vec<Value> = vec![event.into()];
        let mut places = Vec::with_capacity(rows.len());
        for WrittenRow { table, key, version, mark, .. } in rows {
            let at = values.len() + 1;
            places.push(format!("(${at}, ${}, ${}, ${}, $1)", at + 1, at + 2, at + 3));
            values.extend([table.clone().into(), key.clone().into(), (*version).into(), mark.clone().into()]);
        }
        let sql = format!(
            "INSERT INTO row_proof (tbl, key, version, mark, event_id) VALUES {}
            ON CONFLICT (tbl, key) DO UPDATE
            SET version = excluded.version, mark = excluded.mark, event_id = excluded.event_id
            WHERE row_proof.version = excluded.version - 1",
            places.join(", ")
        );
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        if tx.execute_raw(statement).await?.rows_affected() != rows.len() as u64 {
            return Err(record_altered("the index of rows, while an event told of them", Some(event)));
        }
    }
    Ok(told)
}
