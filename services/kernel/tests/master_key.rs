//! The master key, the root that it opens, and its rotation.
#![cfg(test)]

use kernel::{Db, Instant, MasterKey, Rotation, Unopened, Vault};
use sea_orm::{ConnectionTrait, Statement};

async fn database(folder: &tempfile::TempDir) -> Db {
    let db = Db::connect(&format!("sqlite://{}", folder.path().join("k.db").display())).await.unwrap();
    migrations::migrate(&db).await.unwrap();
    db
}

fn key(byte: u8) -> MasterKey {
    MasterKey::new(&[byte; 32])
}

async fn write(db: &Db, sql: &str, value: Vec<u8>) {
    let tx = db.begin().await.unwrap();
    tx.execute_raw(Statement::from_sql_and_values(db.backend(), sql, [value.into()])).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_rotation_changes_who_opens_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    let vault = key(1).open(&db).await.unwrap();
    let (sealed, mark) = (vault.wrap("n", b"secret").unwrap(), vault.mark(&[b"m"]));
    assert!(Vault::new(&[1; 32]).unwrap("n", &sealed).is_err(), "the root is not the master key");
    assert!(matches!(key(2).rotate(&db, &key(3), Instant(7)).await, Err(Unopened::Strange)));
    assert_eq!(key(1).rotate(&db, &key(2), Instant(7)).await.unwrap(), Rotation::Done);
    assert_eq!(key(1).rotate(&db, &key(2), Instant(8)).await.unwrap(), Rotation::DoneBefore);
    assert!(matches!(key(1).open(&db).await, Err(Unopened::Replaced(Instant(7)))));
    assert!(matches!(key(3).open(&db).await, Err(Unopened::Strange)));
    let vault = key(2).open(&db).await.unwrap();
    assert_eq!((vault.unwrap("n", &sealed).unwrap().as_slice(), vault.mark(&[b"m"])), (&b"secret"[..], mark));
    // Going back is a rotation like any other.
    assert_eq!(key(2).rotate(&db, &key(1), Instant(9)).await.unwrap(), Rotation::Done);
    assert_eq!(key(1).open(&db).await.unwrap().mark(&[b"m"]), mark);
    db.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_before_goes_on_under_its_first_key() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    let first = |byte: u8| Vault::new(&[byte; 32]).mark(&[b"fingerprint"]).to_vec();
    write(&db, "INSERT INTO master_key (id, fingerprint) VALUES (1, ?)", first(1)).await;
    let mark = Vault::new(&[1; 32]).mark(&[b"m"]);
    assert_eq!(key(1).open(&db).await.unwrap().mark(&[b"m"]), mark);
    assert!(matches!(key(2).open(&db).await, Err(Unopened::Strange)));
    key(1).rotate(&db, &key(2), Instant(7)).await.unwrap();
    assert_eq!(key(2).open(&db).await.unwrap().mark(&[b"m"]), mark);
    assert!(matches!(key(1).open(&db).await, Err(Unopened::Replaced(_))));
    // What programs of before compare with: none of them starts on a rotated database.
    let select = Statement::from_string(db.backend(), "SELECT fingerprint FROM master_key");
    let row = db.read().query_one_raw(select).await.unwrap().unwrap();
    let found: Vec<u8> = row.try_get("", "fingerprint").unwrap();
    assert_ne!(found, first(2));
    assert!(key(2).is_known_by(&found) && !key(1).is_known_by(&found));
    db.close().await.unwrap();
}

/// Who may make pseudonyms holds nothing of the vault, not even where the master key itself is the root.
#[test]
fn pseudonyms_are_no_marks_of_what_is_stored() {
    let hex = |hash: [u8; 32]| hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let (pseudonyms, vault) = (key(1).pseudonyms(), Vault::new(&[1; 32]));
    let told = pseudonyms.of("p", "n", 32);
    assert!(told.len() == 64 && told == key(1).pseudonyms().of("p", "n", 32));
    assert_eq!(pseudonyms.of("p", "n", 8), told[..16]);
    for other in [hex(vault.index("p", "n")), hex(vault.mark(&[b"p", b"n"])), key(2).pseudonyms().of("p", "n", 32)] {
        assert_ne!(told, other);
    }
    assert_ne!(told, pseudonyms.of("q", "n", 32));
}

#[tokio::test]
async fn a_root_that_somebody_put_there_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let db = database(&folder).await;
    key(1).open(&db).await.unwrap();
    write(&db, "UPDATE master_key SET wrapped_root = ?", vec![9; 60]).await;
    assert!(matches!(key(1).open(&db).await, Err(Unopened::Changed)));
    db.close().await.unwrap();
}
