//! The store's promises, without a wire.

use super::workspace::{Publishing, tests::by};
use super::*;
use std::time::{Duration, Instant};

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
}

const EVERY_WAY: [Publishing; 2] = [Publishing::Link, Publishing::LockedRename];

fn fixture(options: &Options) -> Fixture {
    published(Publishing::Link, options)
}

fn published(publishing: Publishing, options: &Options) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = open_by(publishing, folder.path(), options);
    Fixture { folder, store }
}

fn open_by(publishing: Publishing, root: &Path, options: &Options) -> Store {
    let open = || Store::open(root, options.clone(), &Log::default()).ok();
    let way = |store: &Store| {
        let workspace = lock(&store.workspace);
        workspace.as_ref().map_or(publishing, |workspace| workspace.publishing)
    };
    by(publishing, open, way)
}

fn name(name: &str) -> FileName {
    FileName::parse(name.as_bytes()).unwrap()
}

impl Store {
    /// The contents of the root.
    pub(crate) fn all(&self) -> Listing {
        self.listing(None).unwrap()
    }

    pub(super) fn listing(&self, folder: Option<&FileName>) -> Result<Listing> {
        self.list(folder, None).map(|(listing, _)| listing)
    }
}

impl Fixture {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, file: &str, bytes: &[u8]) -> Result<String> {
        let mut incoming = self.store.begin(name(file))?;
        incoming.must_have_room(bytes.len() as u64)?;
        incoming.write(bytes)?;
        incoming.publish().map(|stored| stored.as_str().to_owned())
    }

    fn names(&self) -> Vec<String> {
        self.store.all().entries().map(|entry| entry.name.to_owned()).collect()
    }
}

#[test]
fn a_file_goes_in_and_comes_out() {
    for publishing in EVERY_WAY {
        let options = Options { fsync: true, ..Options::default() };
        let fixture = published(publishing, &options);
        assert_eq!(fixture.put("a.txt", b"hello").unwrap(), "a.txt");
        let mut file = fixture.store.open_file(name("a.txt")).unwrap();
        let mut bytes = [0; 9];
        assert_eq!((file.read(&mut bytes).unwrap(), file.size), (5, 5));
        assert_eq!(&bytes[..5], b"hello");
        assert_eq!(fixture.store.size(&name("a.txt")).unwrap(), 5);
        // Some Windows systems remove an open file when it is closed.
        drop(file);
        assert_eq!(fixture.store.remove(&name("a.txt")).unwrap(), 5);
        assert!(fixture.store.size(&name("a.txt")).unwrap_err().is(Code::NotFound));
    }
}

#[test]
fn the_first_free_number_is_taken_and_nothing_is_replaced() {
    for publishing in EVERY_WAY {
        let fixture = published(publishing, &Options::default());
        for n in 0..30 {
            let expected = if n == 0 { "a.txt".to_owned() } else { format!("a_{n}.txt") };
            assert_eq!(fixture.put("a.txt", expected.as_bytes()).unwrap(), expected);
        }
        for removed in ["a_3.txt", "a_17.txt", "a_25.txt"] {
            fixture.store.remove(&name(removed)).unwrap();
        }
        for expected in ["a_3.txt", "a_17.txt", "a_25.txt", "a_30.txt"] {
            assert_eq!(fixture.put("a.txt", expected.as_bytes()).unwrap(), expected);
        }
        for file in fixture.names().iter().filter(|file| *file != "a.txt") {
            assert_eq!(fs::read_to_string(fixture.path(file)).unwrap(), *file);
        }
    }
}

/// The median time of two hundred uploads under these names.
fn time_of_uploads(fixture: &Fixture, file: &dyn Fn(u32) -> String) -> Duration {
    let mut times: Vec<_> = (0..200)
        .map(|n| {
            let start = Instant::now();
            fixture.put(&file(n), b"").unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[100]
}

#[test]
fn a_crowded_name_costs_no_more_than_a_new_one() {
    let fixture = fixture(&Options::default());
    fixture.put("a.txt", b"").unwrap();
    for n in 1..=20_000 {
        fs::write(fixture.path(&format!("a_{n}.txt")), "").unwrap();
    }
    assert_eq!(fixture.put("a.txt", b"").unwrap(), "a_20001.txt");
    fixture.store.remove(&name("a_777.txt")).unwrap();
    assert_eq!(fixture.put("a.txt", b"").unwrap(), "a_777.txt");
    let fresh = time_of_uploads(&fixture, &|n| format!("fresh-{n}.txt"));
    let crowded = time_of_uploads(&fixture, &|_| "a.txt".to_owned());
    // Trying all 20,000 names takes a hundred times as long; ten leaves room for a busy machine.
    assert!(crowded < fresh * 10, "{crowded:?} against {fresh:?}");
}

/// With more crowded names than there were hints, each upload read the folder: 45 to 57 ms with 100,000 files.
#[test]
fn many_crowded_names_cost_one_pass_each() {
    let fixture = fixture(&Options::default());
    for n in 0..600 {
        for copy in 0..6 {
            let copy = if copy == 0 { String::new() } else { format!("_{copy}") };
            fs::write(fixture.path(&format!("{n}{copy}.txt")), "").unwrap();
        }
    }
    let upload =
        |n: u32| assert_eq!(fixture.put(&format!("{n}.txt"), b"").unwrap(), format!("{n}_6.txt"));
    (0..600).for_each(upload);
    let fresh = time_of_uploads(&fixture, &|n| format!("fresh-{n}.txt"));
    let crowded = time_of_uploads(&fixture, &|n| format!("{}.txt", n * 3));
    // A pass over 4,000 files takes forty times as long.
    assert!(crowded < fresh * 10, "{crowded:?} against {fresh:?}");
}

/// Two servers each looked at a file, one removed it, and the other removed what took its name then.
#[test]
fn a_removal_waits_for_that_of_another_server() {
    let fixture = fixture(&Options::default());
    fixture.put("a", b"x").unwrap();
    fixture.put("b", b"x").unwrap();
    let path = fixture.folder.path().join(private::PRIVATE).join("removing");
    let held = private::lock(File::try_lock, &path, Instant::now()).unwrap();
    if held.is_none() {
        // This file system has no locks.
        return;
    }
    std::thread::scope(|scope| {
        let by_name = scope.spawn(|| fixture.store.remove(&name("a")).map(drop));
        let recorded = fixture.store.remove_recorded(&name("b"), None);
        assert!(recorded.unwrap_err().is(Code::Internal));
        assert!(by_name.join().unwrap().unwrap_err().is(Code::Internal));
    });
    assert_eq!(fixture.names(), ["a", "b"]);
    drop(held);
    // A removal by name is in the way of those that look for one certain file, and of no other.
    let held = private::lock(File::try_lock_shared, &path, Instant::now()).unwrap();
    fixture.store.remove(&name("a")).unwrap();
    assert!(fixture.store.remove_recorded(&name("b"), None).is_err());
    drop(held);
    fixture.store.remove_recorded(&name("b"), None).unwrap();
    assert_eq!(fixture.names(), [""; 0]);
}

#[test]
fn a_removal_of_a_certain_file_looks_again_before_it() {
    let fixture = fixture(&Options::default());
    fixture.put("a", b"x").unwrap();
    let path = fixture.folder.path().join(private::PRIVATE).join("removing");
    let Some(held) = private::lock(File::try_lock, &path, Instant::now()).unwrap() else { return };
    std::thread::scope(|scope| {
        let removal = scope.spawn(|| fixture.store.remove_recorded(&name("a"), None));
        // It has looked, and waits for the other server.
        while fixture.store.removing.try_read().is_ok() {
            std::thread::yield_now();
        }
        fs::write(fixture.path("a"), b"another file").unwrap();
        drop(held);
        assert!(removal.join().unwrap().unwrap_err().is(Code::NotFound));
    });
    assert_eq!(fixture.names(), ["a"]);
}

#[test]
fn the_first_free_number_is_found_when_another_process_removes_files() {
    let fixture = fixture(&Options::default());
    for _ in 0..10 {
        fixture.put("a.txt", b"").unwrap();
    }
    for removed in ["a_3.txt", "a_7.txt", "a_6.txt"] {
        let time = || fs::metadata(fixture.folder.path()).unwrap().modified().unwrap();
        let before = time();
        fs::remove_file(fixture.path(removed)).unwrap();
        // The clock by which a file system notes changes moves every 4 or 10 ms.
        while time() == before {
            fs::write(fixture.path("b"), b"").unwrap();
            fs::remove_file(fixture.path("b")).unwrap();
        }
        assert_eq!(fixture.put("a.txt", b"").unwrap(), removed);
    }
}

#[test]
fn a_long_name_finds_its_numbers_too() {
    let fixture = fixture(&Options::default());
    let long = "x".repeat(251) + ".txt";
    let mut stored: Vec<_> = (0..120).map(|_| fixture.put(&long, b"").unwrap()).collect();
    let third = stored[30].clone();
    fixture.store.remove(&name(&third)).unwrap();
    assert_eq!(fixture.put(&long, b"").unwrap(), third);
    stored.sort();
    stored.dedup();
    assert_eq!(stored.len(), 120);
    assert!(stored.iter().all(|name| name.len() == 255));
}

/// It was refused, and stayed.
#[test]
fn a_file_without_an_identity_goes_again_also_where_removals_cannot_be_locked() {
    let fixture = fixture(&Options::default());
    let private = fixture.folder.path().join(private::PRIVATE);
    for planted in ["identifying", "removing"] {
        fs::create_dir(private.join(planted)).unwrap();
    }
    let mut incoming = fixture.store.begin(name("a")).unwrap();
    incoming.write(b"12345").unwrap();
    assert!(incoming.publish_recorded().unwrap_err().is(Code::Internal));
    assert_eq!(fixture.names(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn the_private_folder_is_not_followed_when_it_becomes_a_link() {
    let fixture = fixture(&Options::default());
    fixture.put("a", b"x").unwrap();
    let private = fixture.folder.path().join(private::PRIVATE);
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("moved");
    fs::rename(&private, &moved).unwrap();
    let in_it = || fs::read_dir(&moved).unwrap().map(|it| it.unwrap().file_name()).collect();
    let before: std::collections::BTreeSet<_> = in_it();
    std::os::unix::fs::symlink(&moved, &private).unwrap();
    assert!(fixture.put("b", b"x").is_err());
    assert!(fixture.store.remove(&name("a")).is_err());
    assert!(fixture.store.remove_recorded(&name("a"), None).is_err());
    assert!(before == in_it() && fixture.names() == ["a"]);
    fs::remove_file(&private).unwrap();
    fixture.put("b", b"x").unwrap();
    fixture.store.remove(&name("a")).unwrap();
}

#[test]
fn what_is_not_whole_is_not_there() {
    let fixture = fixture(&Options::default());
    let mut incoming = fixture.store.begin(name("a")).unwrap();
    incoming.must_have_room(10).unwrap();
    incoming.write(b"12345").unwrap();
    assert_eq!(fixture.names(), [""; 0]);
    drop(incoming);
    assert_eq!(fixture.names(), [""; 0]);
    let workspace = fixture.store.workspace.lock().unwrap().clone().unwrap();
    drop(workspace.new_draft().unwrap());
}

#[test]
fn limits_are_kept() {
    let fixture = fixture(&Options {
        max_file_size: Some(10),
        max_total_size: Some(25),
        ..Options::default()
    });
    assert_eq!(fixture.put("a", &[0; 11]).unwrap_err().code(), Code::TooLarge);
    fixture.put("a", &[0; 10]).unwrap();
    fixture.put("b", &[0; 10]).unwrap();
    assert_eq!(fixture.put("c", &[0; 6]).unwrap_err().code(), Code::NoSpace);
    fixture.put("c", &[0; 5]).unwrap();
    fixture.store.remove(&name("a")).unwrap();
    fixture.put("d", &[0; 10]).unwrap();
    let unlimited = self::fixture(&Options::default());
    let incoming = unlimited.store.begin(name("a")).unwrap();
    assert!(incoming.must_have_room(1 << 63).unwrap_err().is(Code::TooLarge));
    assert!(incoming.must_have_room((1 << 63) - 1).is_ok());
}

/// Sixteen clients at once: together they never pass the limit, and one of them is always stored.
#[test]
fn uploads_that_meet_share_what_there_is() {
    const LIMIT: u64 = 1000;
    let options = Options { max_total_size: Some(LIMIT), ..Options::default() };
    let fixture = fixture(&options);
    for round in 0..50_u64 {
        let barrier = std::sync::Barrier::new(16);
        let upload = |n: u64| -> Result<()> {
            let mut random = crate::random::Random(round * 16 + n);
            let size = random.next() % LIMIT + 1;
            let gives_up = round % 2 == 1 && n.is_multiple_of(3);
            barrier.wait();
            let mut incoming = fixture.store.begin(name(&n.to_string()))?;
            incoming.must_have_room(size)?;
            let mut left = size;
            while left > 0 && !(gives_up && left < size / 2) {
                let piece = (random.next() % 97 + 1).min(left);
                incoming.write(&vec![0; usize::try_from(piece).unwrap()])?;
                left -= piece;
                assert!(fixture.store.quota.as_ref().unwrap().taken() <= LIMIT);
                std::thread::yield_now();
            }
            incoming.publish().map(drop)
        };
        let stored = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|n| {
                    scope.spawn({
                        let upload = &upload;
                        move || upload(n)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).count()
        });
        let total = fixture.store.all().total;
        assert!(
            total <= LIMIT && fixture.store.quota.as_ref().unwrap().taken() == total,
            "{total}"
        );
        assert!(stored > 0 || round % 2 == 1, "all sixteen were refused");
        for file in fixture.names() {
            fixture.store.remove(&name(&file)).unwrap();
        }
    }
}

/// Nothing can be created on a full disk either, and to remove files is the way out.
#[cfg(unix)]
#[test]
fn files_can_be_removed_where_no_lock_can_be_created() {
    let fixture = fixture(&Options::default());
    fixture.put("a", b"x").unwrap();
    fs::remove_dir_all(fixture.path(".connme")).unwrap();
    assert_eq!(fixture.store.remove(&name("a")).unwrap(), 1);
    assert!(!fixture.path("a").exists());
}

#[test]
fn a_read_only_store_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "x").unwrap();
    let options = Options { read_only: true, ..Options::default() };
    let store = Store::open(folder.path(), options, &Log::default()).unwrap();
    assert_eq!(store.begin(name("b")).err().unwrap().code(), Code::ReadOnly);
    assert!(store.remove(&name("a")).unwrap_err().is(Code::ReadOnly));
    assert!(store.remove_recorded(&name("a"), None).unwrap_err().is(Code::ReadOnly));
    assert_eq!(store.size(&name("a")).unwrap(), 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn folders_are_walked_and_listed() {
    let fixture = fixture(&Options::default());
    fs::create_dir_all(fixture.path("docs/deep")).unwrap();
    assert_eq!(fixture.put("docs/a.txt", b"abc").unwrap(), "docs/a.txt");
    assert_eq!(fixture.put("docs/a.txt", b"abc").unwrap(), "docs/a_1.txt");
    let listing = fixture.store.listing(Some(&name("docs"))).unwrap();
    let shown: Vec<_> = listing.entries().map(|e| (e.name, e.size)).collect();
    assert_eq!(shown, [("a.txt", Some(3)), ("a_1.txt", Some(3)), ("deep", None)]);
    assert_eq!(listing.total, 6);
    for (lost, code) in [
        ("nowhere/a", Code::NotFound),
        ("docs/a.txt/b", Code::NotFound),
        ("docs", Code::IsFolder),
        ("docs/deep", Code::IsFolder),
    ] {
        assert_eq!(fixture.put(lost, b"").unwrap_err().code(), code, "{lost}");
        assert_eq!(fixture.store.size(&name(lost)).unwrap_err().code(), code, "{lost}");
        assert_eq!(fixture.store.remove(&name(lost)).unwrap_err().code(), code, "{lost}");
    }
    let no_folder = fixture.store.listing(Some(&name("docs/a.txt"))).err().unwrap();
    assert_eq!(no_folder.code(), Code::NotFound);
}

#[cfg(unix)]
#[test]
fn links_pipes_and_devices_are_not_files() {
    use std::os::unix::fs::symlink;
    let fixture = fixture(&Options::default());
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path().join("secret"), fixture.path("link")).unwrap();
    symlink(outside.path().join("new"), fixture.path("dangling")).unwrap();
    symlink(outside.path(), fixture.path("way-out")).unwrap();
    symlink("/dev/zero", fixture.path("zero")).unwrap();
    let pipe = fixture.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(fixture.path("socket")).unwrap();
    for special in ["link", "dangling", "way-out/secret", "way-out", "zero", "pipe", "socket"] {
        let code = |result: Result<()>| result.unwrap_err().code();
        let name = name(special);
        assert_eq!(code(fixture.store.size(&name).map(drop)), Code::BadName, "{special}");
        assert_eq!(
            code(fixture.store.open_file(name.clone()).map(drop)),
            Code::BadName,
            "{special}"
        );
        assert_eq!(code(fixture.store.remove(&name).map(drop)), Code::BadName, "{special}");
        assert_eq!(code(fixture.store.begin(name).map(drop)), Code::BadName, "{special}");
    }
    assert_eq!(fixture.store.listing(Some(&name("way-out"))).err().unwrap().code(), Code::BadName);
    assert_eq!(fixture.names(), [""; 0]);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_root_that_goes_and_comes_back_is_used_again() {
    let fixture = fixture(&Options::default());
    let workspace = || fixture.store.workspace().unwrap();
    assert!(Arc::ptr_eq(&workspace(), &workspace()));
    fixture.put("a", b"1").unwrap();
    let removed = fs::remove_dir_all(fixture.folder.path());
    if cfg!(windows) && removed.is_err() {
        // A server holds a file in it open, and some Windows systems then keep the folder.
        return;
    }
    removed.unwrap();
    for file in ["a", "docs/a"] {
        assert!(fixture.put(file, b"2").unwrap_err().is(Code::Internal), "{file}");
    }
    assert!(fixture.store.listing(None).is_err());
    fs::create_dir(fixture.folder.path()).unwrap();
    assert_eq!(fixture.put("a", b"3").unwrap(), "a");
    assert_eq!(fixture.names(), ["a"]);
}

#[test]
fn many_threads_of_two_stores_lose_nothing() {
    for publishing in EVERY_WAY {
        let fixture = published(publishing, &Options::default());
        let (path, options) = (fixture.folder.path(), Options::default());
        let other = open_by(publishing, path, &options);
        let mut stored: Vec<String> = std::thread::scope(|scope| {
            let upload = |n: u8| {
                let store = if n.is_multiple_of(2) { &fixture.store } else { &other };
                let mut incoming = store.begin(name("same.txt")).unwrap();
                incoming.must_have_room(1000).unwrap();
                incoming.write(&[n; 1000]).unwrap();
                incoming.publish().unwrap().as_str().to_owned()
            };
            let threads: Vec<_> = (0..64).map(|n| scope.spawn(move || upload(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        stored.sort();
        assert_eq!(stored, fixture.names());
        let mut seen: Vec<u8> = stored
            .iter()
            .map(|file| {
                let bytes = fs::read(fixture.path(file)).unwrap();
                assert!(bytes.len() == 1000 && bytes.iter().all(|byte| *byte == bytes[0]));
                bytes[0]
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..64).collect::<Vec<u8>>());
    }
}

/// An upload was confirmed under a name that another file kept, because the backup had given the draft a
/// second name.
#[test]
fn a_backup_that_makes_hard_links_in_the_middle_of_an_upload_loses_nothing() {
    let fixture = fixture(&Options::default());
    fixture.put("a.txt", b"old").unwrap();
    let mut incoming = fixture.store.begin(name("a.txt")).unwrap();
    incoming.must_have_room(3).unwrap();
    incoming.write(b"n").unwrap();
    let mut folders = vec![fixture.path(private::PRIVATE)];
    let mut linked = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                fs::hard_link(entry, fixture.path(&format!(".backup-{linked}"))).unwrap();
                linked += 1;
            }
        }
    }
    assert!(linked > 0);
    incoming.write(b"ew").unwrap();
    assert_eq!(incoming.publish().unwrap().as_str(), "a_1.txt");
    assert_eq!(fs::read(fixture.path("a.txt")).unwrap(), b"old");
    assert_eq!(fs::read(fixture.path("a_1.txt")).unwrap(), b"new");
}

#[test]
fn every_file_at_the_top_has_a_record() {
    let fixture = fixture(&Options::default());
    fs::create_dir(fixture.path("docs")).unwrap();
    for file in ["b", "a", "docs/c"] {
        fixture.put(file, file.as_bytes()).unwrap();
    }
    let files = fixture.store.all();
    let records: Vec<_> = fixture.store.records(&files).flat_map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let [a, b] = [0, 1].map(|n: usize| records[n].id.clone().unwrap());
    assert!(a != b);
    let wanted = |id: &str| fixture.store.find_by_id(id).map(|(name, stamp)| (name, Some(stamp)));
    assert_eq!(fixture.store.open_recorded(&name("a"), None).unwrap().1, records[0]);
    let (b_name, b_stamp) = wanted(&b).unwrap();
    assert_eq!(fixture.store.open_recorded(&b_name, b_stamp).unwrap().1, records[1]);
    let (a_name, a_stamp) = wanted(&a).unwrap();
    assert_eq!(fixture.store.remove_recorded(&a_name, a_stamp).unwrap(), records[0]);
    assert_eq!(fixture.store.remove_recorded(&name("b"), None).unwrap(), records[1]);
    assert!(fixture.store.open_recorded(&a_name, a_stamp).err().unwrap().is(Code::NotFound));
    assert_eq!(fixture.names(), ["docs"]);
}

#[test]
fn a_file_that_has_gone_has_no_record_and_another_with_its_name_stays() {
    let fixture = fixture(&Options::default());
    fixture.put("gone", b"gone").unwrap();
    let listed = fixture.store.all();
    fs::remove_file(fixture.path("gone")).unwrap();
    assert!(fixture.store.records(&listed).all(|records| records.unwrap().is_empty()));
    let stamp = listed.batches().next().unwrap()[0].1;
    fixture.put("gone", b"another").unwrap();
    let removed = fixture.store.remove_recorded(&name("gone"), Some(stamp));
    assert!(removed.unwrap_err().is(Code::NotFound));
    assert_eq!(fs::read(fixture.path("gone")).unwrap(), b"another");
}

#[test]
fn bytes_can_be_put_before_what_has_come() {
    let fixture = fixture(&Options::default());
    let mut incoming = fixture.store.begin(name("a")).unwrap();
    incoming.write(b"world").unwrap();
    incoming.put_before(b"hello ").unwrap();
    incoming.publish().unwrap();
    assert_eq!(fs::read(fixture.path("a")).unwrap(), b"hello world");
}

/// What a crash or a failing disk leaves: tried at every file operation there is, one after the other.
mod faults {
    use super::*;
    use crate::store::disk::fault::{Fault, during};

    /// Opens the folder as the next start would, and looks at everything in it.
    fn look(root: &Path) -> Vec<(String, Vec<u8>)> {
        // A test beside this one that starts a program holds our locks until that program runs.
        let end = Instant::now() + Duration::from_secs(20);
        let (store, left) = loop {
            let store = Store::open(root, Options::default(), &Log::default()).unwrap();
            let incoming = fs::read_dir(root.join(private::PRIVATE).join("incoming")).unwrap();
            let left = incoming.count() - 1;
            if left == 0 || Instant::now() > end {
                break (store, left);
            }
        };
        assert_eq!(left, 0, "the next start clears what is left");
        let names: Vec<_> = store.all().entries().map(|entry| entry.name.to_owned()).collect();
        assert_eq!(records(&store).len(), names.len());
        names.into_iter().map(|name| (name.clone(), fs::read(root.join(name)).unwrap())).collect()
    }

    fn open(root: &Path) -> Result<Store> {
        let options = Options { fsync: true, ..Options::default() };
        Store::open(root, options, &Log::default())
    }

    fn records(store: &Store) -> Vec<Record> {
        store.records(&store.all()).flat_map(Result::unwrap).collect()
    }

    fn id_of(store: &Store, file: &str) -> Option<String> {
        store.open_recorded(&name(file), None).unwrap().1.id
    }

    fn upload(store: &Store, file: &str, bytes: &[u8]) -> Result<String> {
        let mut incoming = store.begin(name(file))?;
        incoming.must_have_room(bytes.len() as u64)?;
        incoming.write(&bytes[..bytes.len() / 2])?;
        incoming.write(&bytes[bytes.len() / 2..])?;
        incoming.publish().map(|stored| stored.as_str().to_owned())
    }

    /// How many file operations an upload takes.
    fn operations(options: &Options) -> u32 {
        let counted = (1..).find(|k| {
            let fixture = fixture(options);
            let (_, came) = during(*k, Fault::Fails, || upload(&fixture.store, "a", b"hello"));
            !came
        });
        counted.unwrap() - 1
    }

    #[test]
    fn fsync_flushes_the_file_and_its_folder() {
        let fsync = Options { fsync: true, ..Options::default() };
        assert_eq!(operations(&fsync), operations(&Options::default()) + 1 + u32::from(cfg!(unix)));
    }

    fn recorded_upload(store: &Store, file: &str, bytes: &[u8]) -> Result<Record> {
        let mut incoming = store.begin(name(file))?;
        incoming.must_have_room(bytes.len() as u64)?;
        incoming.write(bytes)?;
        incoming.publish_recorded()
    }

    /// Does `work` with a fault at its k-th operation for every k, each time in a new folder with one
    /// file in it, and hands what is there afterwards to `check`.
    fn at_every_operation(
        work: impl Fn(&Store) -> Result<String>,
        check: impl Fn(Option<String>, Vec<(String, Vec<u8>)>, Fault),
    ) {
        let mut tried = 0;
        let fsync = Options { fsync: true, ..Options::default() };
        for publishing in EVERY_WAY {
            for fault in [Fault::Fails, Fault::Ends] {
                for k in 1.. {
                    let folder = tempfile::tempdir().unwrap();
                    let store = open_by(publishing, folder.path(), &fsync);
                    upload(&store, "old", b"old").unwrap();
                    let (done, came) = during(k, fault, || {
                        let done = work(&store);
                        // Nothing that is cleaned up after a crash is cleaned up by the crash.
                        drop(store);
                        done
                    });
                    check(done.ok(), look(folder.path()), fault);
                    if !came {
                        break;
                    }
                    tried += 1;
                }
            }
        }
        assert!(tried >= 15, "{tried}");
    }

    #[test]
    fn an_upload_is_whole_or_not_there() {
        at_every_operation(
            |store| upload(store, "new", b"whole"),
            |confirmed, files, fault| {
                let file =
                    |name: &str| files.iter().find(|(n, _)| n == name).map(|(_, b)| b.clone());
                assert_eq!(file("old").unwrap(), b"old");
                match (confirmed, file("new")) {
                    (Some(_), None) => panic!("confirmed, and lost"),
                    (None, Some(_)) if fault == Fault::Fails => panic!("refused, and there"),
                    (_, Some(bytes)) => assert_eq!(bytes, b"whole"),
                    (None, None) => {}
                }
                assert!(files.len() <= 2, "{files:?}");
            },
        );
    }

    #[test]
    fn a_name_that_is_taken_stays_with_its_file() {
        at_every_operation(
            |store| upload(store, "old", b"whole"),
            |confirmed, files, _| {
                assert_eq!(files.iter().find(|(name, _)| name == "old").unwrap().1, b"old");
                for (name, bytes) in files.iter().filter(|(name, _)| name != "old") {
                    assert_eq!((name.as_str(), bytes.as_slice()), ("old_1", b"whole".as_slice()));
                }
                assert!(confirmed.is_none_or(|name| files.iter().any(|(n, _)| *n == name)));
            },
        );
    }

    #[test]
    fn a_removal_happens_or_does_not() {
        at_every_operation(
            |store| store.remove(&name("old")).map(|_| String::new()),
            |confirmed, files, _| match files.as_slice() {
                [] => {}
                [(name, bytes)] if confirmed.is_none() => {
                    assert_eq!((name.as_str(), bytes.as_slice()), ("old", b"old".as_slice()));
                }
                other => panic!("{confirmed:?} {other:?}"),
            },
        );
    }

    #[test]
    fn a_removal_of_just_this_file_happens_or_does_not() {
        at_every_operation(
            |store| store.remove_recorded(&name("old"), None).map(|record| record.name),
            |confirmed, files, _| match files.as_slice() {
                [] => {}
                [(name, bytes)] if confirmed.is_none() => {
                    assert_eq!((name.as_str(), bytes.as_slice()), ("old", b"old".as_slice()));
                }
                other => panic!("{confirmed:?} {other:?}"),
            },
        );
    }

    /// A transfer whose identity cannot be kept was confirmed with an identity that a restart changed.
    #[test]
    fn a_transfer_is_confirmed_with_an_identity_that_stays_or_is_not_there() {
        for fault in [Fault::Fails, Fault::Ends] {
            for k in 1.. {
                let folder = tempfile::tempdir().unwrap();
                let store =
                    Store::open(folder.path(), Options::default(), &Log::default()).unwrap();
                let (record, came) = during(k, fault, || {
                    let record = recorded_upload(&store, "new", b"whole");
                    drop(store);
                    record
                });
                let store =
                    Store::open(folder.path(), Options::default(), &Log::default()).unwrap();
                match record {
                    Ok(record) => assert_eq!(id_of(&store, "new"), record.id, "operation {k}"),
                    Err(_) if fault == Fault::Fails => {
                        assert!(!folder.path().join("new").exists(), "operation {k}");
                    }
                    // What ends there has confirmed nothing.
                    Err(_) => {}
                }
                if !came {
                    assert!(k > 10, "{k}");
                    break;
                }
            }
        }
    }

    #[test]
    fn a_start_that_fails_hurts_nothing_and_the_next_is_clean() {
        for fault in [Fault::Fails, Fault::Full, Fault::Ends] {
            let folder = tempfile::tempdir().unwrap();
            let open = || open(folder.path());
            let store = open().unwrap();
            upload(&store, "old", b"old").unwrap();
            let id = id_of(&store, "old");
            drop(store);
            for k in 1.. {
                let (is_open, came) = during(k, fault, || open().is_ok());
                // The first operation after the looks at the folder itself. What a full disk has can still be read.
                assert!(k != 3 || is_open == (fault == Fault::Full));
                assert_eq!(look(folder.path()), [("old".to_owned(), b"old".to_vec())]);
                let store = open().unwrap();
                assert_eq!(id_of(&store, "old"), id, "operation {k}");
                if !came {
                    assert!(k > 8, "{k}");
                    break;
                }
            }
        }
    }

    #[test]
    fn a_catalog_that_fails_gives_no_file_the_identity_of_another() {
        for fault in [Fault::Fails, Fault::Ends] {
            for k in 1.. {
                let folder = tempfile::tempdir().unwrap();
                let open = || open(folder.path());
                let store = open().unwrap();
                upload(&store, "a", b"1").unwrap();
                upload(&store, "b", b"2").unwrap();
                let before: Vec<_> = records(&store);
                fs::write(folder.path().join("by-hand"), "3").unwrap();
                let (_, came) = during(k, fault, || {
                    let _ = store.listing(None).map(|files| store.records(&files).for_each(drop));
                    let _ = store.open_recorded(&name("by-hand"), None);
                    let _ = recorded_upload(&store, "c", b"4");
                    let _ = store.remove_recorded(&name("b"), None);
                    drop(store);
                });
                let store = open().unwrap();
                let after: Vec<_> = records(&store);
                for record in &after {
                    let same = before.iter().find(|old| old.id == record.id);
                    assert!(same.is_none_or(|old| old.name == record.name), "{before:?} {after:?}");
                }
                assert_eq!(after.first(), before.first(), "operation {k}");
                if !came {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_read_only_store_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { read_only: true, ..Options::default() };
    let missing = folder.path().join("missing");
    assert!(Store::open(&missing, options(), &Log::default()).is_err());
    assert!(!missing.exists());
    // Nor does it take another's file for its own folder.
    let taken = tempfile::tempdir().unwrap();
    fs::write(taken.path().join(".connme"), "").unwrap();
    let refused = Store::open(taken.path(), options(), &Log::default()).err().unwrap();
    assert!(refused.cause().contains("remove it"), "{}", refused.cause());
    assert!(Store::open(folder.path(), options(), &Log::default()).is_ok());
    assert!(!folder.path().join(".connme").exists());
    fs::write(&missing, "a file").unwrap();
    let not_a_folder = Store::open(&missing, Options::default(), &Log::default());
    assert!(not_a_folder.err().unwrap().to_string().contains(&format!("{}", missing.display())));
}
