//! Nothing is built upon a row that somebody changed behind the exchange's back, and nothing is written over it: what was
//! forged stays forged, for whoever verifies.
#![cfg(test)]

#[path = "../fresh/mod.rs"]
mod fresh;
mod meanwhile;

use kernel::{
    Context, ErrorCode, Transaction,
    audit_log::{adopt::adopt, adoptable::adoptable, rows::verify_rows},
};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use tokio_util::sync::CancellationToken;

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

/// An exchange, and two of its days.
struct Ground {
    cx: Context,
    days: [day::Model; 2],
}

/// What a write does, in words for a failure.
type Step = (&'static str, for<'a> fn(&'a Transaction, &'a [day::Model; 2]) -> futures::future::BoxFuture<'a, ()>);

async fn rename(tx: &Transaction, which: &day::Model, name: &str) {
    let rename = day::Entity::update_many().col_expr(day::Column::Name, Expr::value(name));
    rename.filter(day::Column::Date.eq(&which.date)).exec(tx).await.unwrap();
}

/// Everything that can be made of the first day, where the second one is as it should be.
const STEPS: [Step; 6] = [
    ("changed", |tx, days| Box::pin(rename(tx, &days[0], "三"))),
    ("changed as one of all", |tx, _| {
        Box::pin(async move {
            let all = day::Entity::update_many().col_expr(day::Column::Name, Expr::value("三"));
            all.exec(tx).await.unwrap();
        })
    }),
    ("written over", |tx, days| {
        Box::pin(async move {
            let over = OnConflict::column(day::Column::Date).update_column(day::Column::Name).to_owned();
            let days = days.iter().map(|day| day::Model { name: "三".into(), ..day.clone() }.into_active_model());
            day::Entity::insert_many(days).on_conflict(over).exec_without_returning(tx).await.unwrap();
        })
    }),
    ("deleted", |tx, days| {
        Box::pin(async move {
            let both = day::Column::Date.is_in(days.iter().map(|day| &day.date));
            day::Entity::delete_many().filter(both).exec(tx).await.unwrap();
        })
    }),
    ("read, and another one changed", |tx, days| {
        Box::pin(async move {
            day::Entity::find_by_id(&days[0].date).one(tx).await.unwrap();
            rename(tx, &days[1], "三").await;
        })
    }),
    ("read and held, and another one changed", |tx, days| {
        Box::pin(async move {
            day::Entity::find_by_id(&days[0].date).lock_exclusive().one(tx).await.unwrap();
            rename(tx, &days[1], "三").await;
        })
    }),
];

impl Ground {
    async fn on(url: &str) -> Ground {
        let cx = fresh::exchange(url).await;
        let days = day::Entity::find().order_by_asc(day::Column::Date).limit(2).all(cx.db.read()).await.unwrap();
        Ground { cx, days: days.try_into().unwrap() }
    }

    /// Takes one step; whether it was committed.
    async fn step(&self, step: &Step) -> Result<(), ErrorCode> {
        let tx = self.cx.db.begin().await.unwrap();
        step.1(&tx, &self.days).await;
        tx.commit().await.map_err(|error| error.code())
    }

    /// Has all count as it stands, once it was told what is wrong.
    async fn adopt(&self, told: &str) {
        let found = adoptable(&self.cx.db, &self.cx.vault).await.unwrap();
        assert!(found.lines().iter().any(|line| line.contains(told)), "{:?}", found.lines());
        adopt(&self.cx).await.unwrap();
        assert_eq!(self.flaw().await, None);
        assert!(adoptable(&self.cx.db, &self.cx.vault).await.unwrap().is_empty());
    }

    async fn flaw(&self) -> Option<String> {
        let rows = verify_rows(&self.cx.db, &self.cx.vault).await.unwrap();
        rows.flaw.map(|flaw| format!("{} {}", flaw.row, flaw.what))
    }
}

async fn each_lane(test: impl AsyncFn(&Ground)) {
    let folder = tempfile::tempdir().unwrap();
    for url in [Some(fresh::sqlite(folder.path())), fresh::postgres().await].into_iter().flatten() {
        test(&Ground::on(&url).await).await;
    }
}

#[tokio::test]
async fn a_changed_row_is_neither_built_upon_nor_written_over() {
    each_lane(async |ground| {
        let first = &ground.days[0];
        let (date, name) = (&first.date, &first.name);
        for step in &STEPS {
            ground.cx.db.run(&format!("UPDATE calendar_day SET name = '伪' WHERE date = '{date}'")).await.unwrap();
            assert_eq!(ground.step(step).await, Err(ErrorCode::RecordAltered), "{}", step.0);
            assert_eq!(ground.flaw().await, Some(format!("calendar_day date={date} changed")), "{}", step.0);
            ground.cx.db.run(&format!("UPDATE calendar_day SET name = '{name}' WHERE date = '{date}'")).await.unwrap();
            assert_eq!(ground.flaw().await, None, "{}", step.0);
        }
        for step in &STEPS {
            assert_eq!(ground.step(step).await, Ok(()), "once it is put right: {}", step.0);
            for day in &ground.days {
                let over = OnConflict::column(day::Column::Date).update_column(day::Column::Name).to_owned();
                let tx = ground.cx.db.begin().await.unwrap();
                let day = day.clone().into_active_model();
                day::Entity::insert(day).on_conflict(over).exec_without_returning(&tx).await.unwrap();
                tx.commit().await.unwrap();
            }
        }
        assert_eq!(ground.flaw().await, None);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_was_put_in_or_taken_away_is_not_made_good() {
    each_lane(async |ground| {
        let date = &ground.days[0].date;
        let put_in = "INSERT INTO calendar_day (date, kind, name, source) VALUES ('1999-01-01', 'HOLIDAY', '伪', '')";
        ground.cx.db.run(put_in).await.unwrap();
        let strange = day::Model { date: "1999-01-01".into(), ..ground.days[0].clone() };
        let tx = ground.cx.db.begin().await.unwrap();
        rename(&tx, &strange, "三").await;
        assert_eq!(tx.commit().await.unwrap_err().code(), ErrorCode::RecordAltered);
        let tx = ground.cx.db.begin().await.unwrap();
        day::Entity::delete_by_id(&strange.date).exec(&tx).await.unwrap();
        assert_eq!(tx.commit().await.unwrap_err().code(), ErrorCode::RecordAltered);
        ground.cx.db.run("DELETE FROM calendar_day WHERE date = '1999-01-01'").await.unwrap();

        ground.cx.db.run(&format!("DELETE FROM calendar_day WHERE date = '{date}'")).await.unwrap();
        let again = day::Model { name: "伪".into(), ..ground.days[0].clone() }.into_active_model();
        let tx = ground.cx.db.begin().await.unwrap();
        day::Entity::insert(again).exec_without_returning(&tx).await.unwrap();
        assert_eq!(tx.commit().await.unwrap_err().code(), ErrorCode::RecordAltered);
        assert_eq!(ground.flaw().await, Some(format!("calendar_day date={date} missing")));
    })
    .await;
}

#[tokio::test]
async fn nobody_is_served_on_a_changed_row() {
    each_lane(async |ground| {
        let date = &ground.days[0].date;
        let read = async || day::Entity::find_by_id(date).one(ground.cx.db.read()).await.map_err(kernel::Error::from);
        let untouched = read().await.unwrap();
        ground
            .cx
            .db
            .run(&format!("UPDATE calendar_day SET kind = 'WORKDAY' || kind WHERE date = '{date}'"))
            .await
            .unwrap();
        assert_eq!(read().await.unwrap_err().code(), ErrorCode::RecordAltered);
        ground
            .cx
            .db
            .run(&format!("UPDATE calendar_day SET kind = substr(kind, 8) WHERE date = '{date}'"))
            .await
            .unwrap();
        assert_eq!(read().await.unwrap(), untouched);
        ground.cx.db.run(&format!("DELETE FROM calendar_day WHERE date = '{date}'")).await.unwrap();
        assert_eq!(read().await.unwrap_err().code(), ErrorCode::RecordAltered);
    })
    .await;
}

/// A refusal is decided on rows too.
#[tokio::test]
async fn nobody_is_refused_because_of_a_changed_row() {
    each_lane(async |ground| {
        let date = &ground.days[0].date;
        let refused = async || {
            let tx = ground.cx.db.begin().await.unwrap();
            day::Entity::find_by_id(date).one(&tx).await.unwrap();
            tx.refuse().await.map_err(|error| error.code())
        };
        assert_eq!(refused().await, Ok(()));
        ground.cx.db.run(&format!("UPDATE calendar_day SET kind = kind || 'X' WHERE date = '{date}'")).await.unwrap();
        assert_eq!(refused().await, Err(ErrorCode::RecordAltered));
    })
    .await;
}

/// The marks that a row had earlier lie in the events, for whoever reads them: none of them counts but the last one's.
#[tokio::test]
async fn an_earlier_mark_brings_no_earlier_row_back() {
    each_lane(async |ground| {
        let cx = &ground.cx;
        let date = &ground.days[0].date;
        let now = "WHERE tbl = 'calendar_day' AND mark IN (SELECT mark FROM later)";
        cx.db.run("CREATE TABLE early AS SELECT * FROM row_proof WHERE tbl = 'calendar_day'").await.unwrap();
        ground.step(&STEPS[0]).await.unwrap();
        let later = "CREATE TABLE later AS SELECT mark FROM row_proof AS it WHERE tbl = 'calendar_day'
            AND NOT EXISTS (SELECT 1 FROM early WHERE early.key = it.key AND early.mark = it.mark)";
        cx.db.run(later).await.unwrap();
        let name = &ground.days[0].name;
        let put_back = format!("UPDATE calendar_day SET name = '{name}' WHERE date = '{date}'");
        // The mark alone.
        let mark =
            format!("UPDATE row_proof SET mark = (SELECT mark FROM early WHERE early.key = row_proof.key) {now}");
        cx.db.run(&format!("{put_back}; {mark}")).await.unwrap();
        assert_eq!(ground.step(&STEPS[0]).await, Err(ErrorCode::RecordAltered));
        assert!(ground.flaw().await.is_some());
        ground.adopt("in the index of rows not as its last event tells").await;
        ground.step(&STEPS[0]).await.unwrap();
        // All that the index said then: the exchange cannot tell, and whoever verifies can, from then on.
        let all = "DELETE FROM row_proof WHERE tbl = 'calendar_day'; INSERT INTO row_proof SELECT * FROM early";
        cx.db.run(&format!("{put_back}; {all}")).await.unwrap();
        for _ in 0..4 {
            assert!(ground.flaw().await.is_some());
            ground.step(&STEPS[0]).await.unwrap();
        }
        let flaw = ground.flaw().await.unwrap();
        assert_eq!(flaw, format!("calendar_day date={date} put back before this event, which wrote it again"));
        // What shows it is not forgotten, until it was said that all counts.
        cx.seal_all().await.unwrap();
        let forget = async || cx.delete_outdated(cx.clock.now().plus_seconds(1), &CancellationToken::new()).await;
        assert!(forget().await.is_err());
        assert_eq!(ground.flaw().await, Some(flaw));
        ground.adopt("put back, and written again since").await;
        assert!(forget().await.unwrap() > 0);
        ground.step(&STEPS[0]).await.unwrap();
        assert_eq!(ground.flaw().await, None);
    })
    .await;
}

/// Nor does the exchange make anew what somebody took away.
#[tokio::test]
async fn a_row_that_was_taken_away_is_not_written_over() {
    each_lane(async |ground| {
        let date = &ground.days[0].date;
        ground.cx.db.run(&format!("DELETE FROM calendar_day WHERE date = '{date}'")).await.unwrap();
        // The one that asks for it by its key.
        assert_eq!(ground.step(&STEPS[4]).await, Err(ErrorCode::RecordAltered));
        let told = ground.step(&STEPS[2]).await.unwrap_err();
        assert!([ErrorCode::RecordAltered, ErrorCode::Unavailable].contains(&told), "{told:?}");
        assert_eq!(ground.flaw().await, Some(format!("calendar_day date={date} missing")));
    })
    .await;
}
