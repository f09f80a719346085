//! What somebody else does between two looks of the exchange, or while it waits.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use kernel::{Db, ErrorCode};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, Statement,
    TransactionTrait,
    sea_query::{Expr, OnConflict},
};

use crate::{Ground, STEPS, day, each_lane, fresh, rename};

/// Commits once a statement that has these words waits for a lock.
async fn once_awaited(db: &Db, forgery: DatabaseTransaction, words: &str) {
    let waits =
        format!("SELECT 1 AS it FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{words}%'");
    let waits = Statement::from_string(DbBackend::Postgres, waits);
    while db.read().query_one_raw(waits.clone()).await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    forgery.commit().await.unwrap();
}

/// A forgery that is put in while the exchange waits for the row is not met unread.
#[tokio::test]
async fn a_row_that_was_exchanged_under_the_statement_is_not_made_good() {
    let Some(url) = fresh::postgres().await else { return };
    let ground = Ground::on(&url).await;
    let date = &ground.days[0].date;
    let forger = sea_orm::Database::connect(&url).await.unwrap();
    let forgery = forger.begin().await.unwrap();
    let exchanged = format!(
        "DELETE FROM calendar_day WHERE date = '{date}';
        INSERT INTO calendar_day (date, kind, name, source) VALUES ('{date}', 'HOLIDAY', '伪', '')"
    );
    forgery.execute_unprepared(&exchanged).await.unwrap();
    let writes = async {
        let tx = ground.cx.db.begin().await.unwrap();
        let rename = day::Entity::update_many().col_expr(day::Column::Name, Expr::value("三"));
        rename.filter(day::Column::Date.eq(date)).exec(&tx).await?;
        tx.commit().await
    };
    let commits = once_awaited(&ground.cx.db, forgery, "calendar_day");
    let (told, ()): (kernel::Result<()>, ()) = tokio::join!(writes, commits);
    assert_eq!(told.unwrap_err().code(), ErrorCode::Unavailable);
    assert_eq!(ground.step(&STEPS[0]).await, Err(ErrorCode::RecordAltered));
    assert_eq!(ground.flaw().await, Some(format!("calendar_day date={date} changed")));
}

/// On PostgreSQL somebody else may write a row between another's look at it and the look at the index.
#[tokio::test]
async fn a_row_that_the_exchange_changed_meanwhile_is_no_forgery() {
    let Some(url) = fresh::postgres().await else { return };
    let ground = Ground::on(&url).await;
    let [first, second] = &ground.days;
    for (changed, name) in [(second, "三"), (first, "四")] {
        let reader = ground.cx.db.begin().await.unwrap();
        day::Entity::find_by_id(&first.date).one(&reader).await.unwrap();
        let writer = ground.cx.db.begin().await.unwrap();
        rename(&writer, first, name).await;
        writer.commit().await.unwrap();
        rename(&reader, changed, "五").await;
        reader.commit().await.unwrap();
        assert_eq!(ground.flaw().await, None);
    }
}

/// Those who write the same row for the first time take turns, and none is refused.
#[tokio::test]
async fn upserts_of_one_row_take_turns() {
    each_lane(async |ground| {
        let made = |name: &'static str| async move {
            let over = OnConflict::column(day::Column::Date).update_column(day::Column::Name).to_owned();
            let day = day::Model { date: "2199-01-01".into(), name: name.into(), ..ground.days[0].clone() };
            let tx = ground.cx.db.begin().await.unwrap();
            day::Entity::insert(day.into_active_model()).on_conflict(over).exec_without_returning(&tx).await.unwrap();
            tx.commit().await.map_err(|error| error.code())
        };
        let told = futures::future::join_all((0..8).map(|_| made("除夕"))).await;
        assert_eq!(told, [Ok(()); 8]);
        assert_eq!(ground.flaw().await, None);
    })
    .await;
}

/// A row that was altered when it was read, and no longer is, is nobody's: nothing rests on it.
#[tokio::test]
async fn what_was_altered_for_a_moment_is_not_decided_on() {
    let Some(url) = fresh::postgres().await else { return };
    let ground = Ground::on(&url).await;
    let ([first, second], db) = (&ground.days, &ground.cx.db);
    let altered = format!("UPDATE calendar_day SET name = '伪' WHERE date = '{}'", first.date);
    let restored = format!("UPDATE calendar_day SET name = '{}' WHERE date = '{}'", first.name, first.date);
    for is_held_later in [false, true] {
        db.run(&altered).await.unwrap();
        let tx = db.begin().await.unwrap();
        assert_eq!(day::Entity::find_by_id(&first.date).one(&tx).await.unwrap().unwrap().name, "伪");
        db.run(&restored).await.unwrap();
        if is_held_later {
            rename(&tx, first, "三").await;
        }
        rename(&tx, second, "三").await;
        assert_eq!(tx.commit().await.unwrap_err().code(), ErrorCode::Unavailable);
        assert_eq!(ground.flaw().await, None);
    }
}

/// Whatever somebody does to a row between two looks, readers are shown it as the exchange left it, or are refused.
#[tokio::test]
async fn readers_are_shown_no_row_that_is_altered_for_a_moment() {
    each_lane(async |ground| {
        let (first, is_over) = (&ground.days[0], AtomicBool::new(false));
        let toggles = async {
            for name in ["伪", &first.name].into_iter().cycle() {
                if name == first.name && is_over.load(Relaxed) {
                    return;
                }
                let toggle = format!("UPDATE calendar_day SET name = '{name}' WHERE date = '{}'", first.date);
                ground.cx.db.run(&toggle).await.unwrap();
            }
        };
        let reads = async {
            let mut shown = 0;
            for _ in 0..2_000 {
                match day::Entity::find_by_id(&first.date).one(ground.cx.db.read()).await.map_err(kernel::Error::from) {
                    Ok(row) => assert_eq!(row.unwrap().name, first.name),
                    Err(error) => assert_eq!(error.code(), ErrorCode::RecordAltered),
                }
                shown += 1;
            }
            is_over.store(true, Relaxed);
            shown
        };
        assert_eq!(tokio::join!(toggles, reads).1, 2_000);
    })
    .await;
}

/// The index is written over only as it was checked.
#[tokio::test]
async fn an_index_that_was_changed_after_it_was_checked_is_not_written_over() {
    let Some(url) = fresh::postgres().await else { return };
    let ground = Ground::on(&url).await;
    let forger = sea_orm::Database::connect(&url).await.unwrap();
    let forgery = forger.begin().await.unwrap();
    let counted = "UPDATE row_proof SET version = version + 1 WHERE tbl = 'calendar_day'";
    forgery.execute_unprepared(counted).await.unwrap();
    let commits = once_awaited(&ground.cx.db, forgery, "INSERT INTO row_proof");
    let (told, ()) = tokio::join!(ground.step(&STEPS[0]), commits);
    assert_eq!(told, Err(ErrorCode::RecordAltered));
    assert!(ground.flaw().await.is_some());
}

/// Nor does an upsert that meets a row which could not be read before take it for one that it made.
#[tokio::test]
async fn an_upsert_that_meets_a_row_unread_is_undone() {
    let Some(url) = fresh::postgres().await else { return };
    let ground = Ground::on(&url).await;
    let forger = sea_orm::Database::connect(&url).await.unwrap();
    let forgery = forger.begin().await.unwrap();
    let put_in = "INSERT INTO calendar_day (date, kind, name, source) VALUES ('2199-01-01', 'HOLIDAY', '伪', '')";
    forgery.execute_unprepared(put_in).await.unwrap();
    let writes = async {
        let over = OnConflict::column(day::Column::Date).update_column(day::Column::Kind).to_owned();
        let day = day::Model { date: "2199-01-01".into(), ..ground.days[0].clone() };
        let tx = ground.cx.db.begin().await?;
        day::Entity::insert(day.into_active_model()).on_conflict(over).exec_without_returning(&tx).await?;
        tx.commit().await
    };
    let commits = once_awaited(&ground.cx.db, forgery, "INSERT INTO \"calendar_day\"");
    let (told, ()): (kernel::Result<()>, ()) = tokio::join!(writes, commits);
    assert_eq!(told.unwrap_err().code(), ErrorCode::Unavailable);
    assert!(ground.flaw().await.is_some());
}
