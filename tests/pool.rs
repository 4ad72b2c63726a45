//! Work off the main thread: other clients are served, and whatever happens to the client, the key or the server
//! meanwhile, nothing hangs, leaks or tears.
//!
//! A job that never ends is a sum over 2^50 elements of one value: it stores nothing, and ends when its client goes. So
//! "while a job runs" needs no luck, and with one worker whatever is asked after it stays in the queue until then.
#![cfg(feature = "module")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::resp::encode;
use common::{wait_until, Client, Server, Value, DEADLINE};

/// Elements of the array that no sum comes to the end of.
const ENDLESS: u64 = 1 << 50;

/// Bytes of the array `k`.
const BYTES: usize = 1 << 20;

/// What `k` holds.
fn pattern() -> Vec<u8> {
    (0..BYTES / 4).flat_map(|i| ((i as u32).wrapping_mul(2_654_435_761)).to_le_bytes()).collect()
}

/// One worker, everything on it, and the arrays `k` and `endless`.
fn server() -> Server {
    start(Server::with())
}

fn start(options: common::Options) -> Server {
    let server = options
        .module_arg("threads")
        .module_arg("1")
        .config("ndarray.max-array-bytes", i64::MAX)
        .config("ndarray.offload-us", 0)
        .start();
    let mut client = server.client();
    cmd!(client, "ND.CREATE", "endless", "uint8", ENDLESS.to_string(), "FILL", "1");
    client.ok(&[&b"ND.SET"[..], b"k", b"uint32", (BYTES / 4).to_string().as_bytes(), b"BLOB", &pattern()]);
    server
}

fn count(client: &mut Client, field: &str) -> u64 {
    let field = format!("ndarray_{field}");
    client.info("ndarray", &field).unwrap_or_else(|| panic!("INFO has no {field}")).parse().expect("a number")
}

fn wait_for(client: &mut Client, field: &str, value: u64) {
    wait_until(DEADLINE, &format!("{field} is {value}"), || count(client, field) == value);
}

fn send<A: AsRef<[u8]>>(client: &mut Client, args: &[A]) {
    let mut out = Vec::new();
    encode(args, &mut out);
    client.send_raw(&out);
}

fn id_of(client: &mut Client) -> String {
    client.ok(&["CLIENT", "ID"]).int().to_string()
}

/// A client whose job runs, and its id.
fn begin_endless(server: &Server) -> (Client, String) {
    let mut client = server.client();
    let id = id_of(&mut client);
    send(&mut client, &["ND.SUM", "endless"]);
    wait_for(&mut server.client(), "jobs_running", 1);
    (client, id)
}

fn end_endless(server: &Server, id: &str) {
    assert_eq!(server.client().ok(&["CLIENT", "KILL", "ID", id]), Value::Int(1));
}

/// Everything is as before: no job is left, and the worker works.
fn assert_sound(server: &Server) {
    let mut client = server.client();
    wait_for(&mut client, "jobs_running", 0);
    wait_for(&mut client, "jobs_queued", 0);
    let done = count(&mut client, "jobs_done");
    cmd!(client, "ND.SET", "sound", "uint8", "3", "VALUES", "1", "2", "3");
    assert_eq!(cmd!(client, "ND.SUM", "sound"), Value::Int(6));
    assert_eq!(count(&mut client, "jobs_done"), done + 1);
    assert_eq!(count(&mut client, "internal_errors"), 0);
}

#[test]
fn others_are_served_while_a_job_runs() {
    let server = server();
    let (_busy, id) = begin_endless(&server);
    let mut other = server.client();
    let list = other.ok(&["CLIENT", "LIST", "ID", &id]).text();
    let flags = list.split(' ').find_map(|f| f.strip_prefix("flags=")).expect("flags").to_owned();
    assert!(flags.contains('b'), "the client is blocked: {list}");
    assert!(other.ping());
    assert_eq!(cmd!(other, "SET", "plain", "1"), Value::Simple("OK".into()));
    assert_eq!(cmd!(other, "ND.SET", "small", "uint8", "2", "VALUES", "1", "2"), Value::Simple("OK".into()));
    assert_eq!(cmd!(other, "ND.SHAPE", "small").show(), "1) (integer) 2");
    assert_eq!(count(&mut other, "jobs_running"), 1);
    // Nothing can wake it before its time: there is no timeout, and CLIENT UNBLOCK finds nothing to do.
    assert_eq!(other.ok(&["CLIENT", "UNBLOCK", &id]), Value::Int(0));
    assert_eq!(count(&mut other, "jobs_running"), 1);
    end_endless(&server, &id);
    wait_for(&mut other, "jobs_cancelled", 1);
    assert_sound(&server);
}

#[test]
fn a_job_ends_soon_after_its_client_has_left() {
    let server = server();
    for _ in 0..3 {
        let (client, _) = begin_endless(&server);
        let mut queued = server.client();
        send(&mut queued, &["ND.SUM", "endless"]);
        wait_for(&mut server.client(), "jobs_queued", 1);
        drop(queued); // before it was begun
        drop(client);
        wait_for(&mut server.client(), "jobs_queued", 0);
        wait_for(&mut server.client(), "jobs_running", 0);
    }
    wait_for(&mut server.client(), "jobs_cancelled", 6);
    assert_sound(&server);
}

#[test]
fn no_timeout_ends_a_client_that_waits_for_its_answer() {
    let server = start(Server::with().config("timeout", 1));
    let (mut busy, id) = begin_endless(&server);
    let mut queued = server.client();
    send(&mut queued, &["ND.SUM", "k"]);
    let mut idle = server.client();
    assert!(idle.ping());
    let mut client = server.client();
    wait_for(&mut client, "jobs_queued", 1);
    // One that only idles is sent away, by the same cron that looks at those that wait.
    let is_there = |client: &mut Client, id: &str| client.ok(&["CLIENT", "LIST", "ID", id]).text().contains("id=");
    let idle_id = id_of(&mut idle);
    wait_until(DEADLINE, "the idle client is sent away", || !is_there(&mut client, &idle_id));
    assert!(is_there(&mut client, &id));
    assert_eq!((count(&mut client, "jobs_running"), count(&mut client, "jobs_queued")), (1, 1));
    end_endless(&server, &id);
    assert!(busy.try_call(&["PING"]).is_none(), "killed");
    assert!(matches!(queued.read(), Value::Int(_)));
    assert_sound(&server);
}

#[test]
fn a_job_sees_the_array_as_it_was_when_it_was_asked_for() {
    let server = server();
    let pieces = |client: &mut Client| {
        let reply = client.read();
        reply.array()[2].array().iter().flat_map(|p| p.bytes().to_vec()).collect::<Vec<u8>>()
    };
    let zeros = vec![0; BYTES];
    let size = (BYTES / 4).to_string();
    let changes: [&[&[u8]]; 6] = [
        &[b"ND.SET", b"k", b"uint32", size.as_bytes(), b"BLOB", &zeros],
        &[b"ND.CREATE", b"k", b"uint8", b"3"],
        &[b"DEL", b"k"],
        &[b"UNLINK", b"k"],
        &[b"FLUSHALL", b"SYNC"],
        &[b"FLUSHALL", b"ASYNC"],
    ];
    for change in changes {
        let mut client = server.client();
        cmd!(client, "ND.CREATE", "endless", "uint8", ENDLESS.to_string(), "FILL", "1");
        client.ok(&[&b"ND.SET"[..], b"k", b"uint32", size.as_bytes(), b"BLOB", &pattern()]);
        let (_busy, id) = begin_endless(&server);
        let (mut whole, mut part, mut sum) = (server.client(), server.client(), server.client());
        send(&mut whole, &["ND.GET", "k", "PIECES"]);
        send(&mut part, &["ND.SLICE", "k", "1000:9000", "BLOB"]);
        send(&mut sum, &["ND.SUM", "k"]);
        wait_for(&mut client, "jobs_queued", 3);
        client.ok(change);
        assert_eq!(count(&mut client, "jobs_queued"), 3, "a write does not wait for reads");
        end_endless(&server, &id);
        assert!(pieces(&mut whole) == pattern(), "{}", String::from_utf8_lossy(change[0]));
        assert!(part.read().bytes() == &pattern()[4000..36000]);
        let want: u64 = pattern().chunks(4).map(|b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))).sum();
        assert_eq!(sum.read(), Value::Int(want as i64));
    }
    assert_sound(&server);
}

#[test]
fn where_a_client_must_not_wait_the_work_is_done_at_once() {
    let server = server();
    let mut client = server.client();
    let want = client.ok(&["ND.SUM", "k"]);
    let (done, inline) = (count(&mut client, "jobs_done"), count(&mut client, "jobs_inline"));
    assert_eq!((done, inline), (1, 0));

    client.ok(&["MULTI"]);
    client.ok(&["ND.SUM", "k"]);
    client.ok(&["ND.GET", "k", "BLOB"]);
    assert_eq!(client.ok(&["EXEC"]), Value::Array(vec![want.clone(), Value::Bulk(pattern())]));
    assert_eq!(client.ok(&["EVAL", "return redis.call('ND.SUM', KEYS[1])", "1", "k"]), want);
    let library = "#!lua name=l\nredis.register_function('f', function(keys) return redis.call('ND.SUM', keys[1]) end)";
    client.ok(&["FUNCTION", "LOAD", library]);
    assert_eq!(client.ok(&["FCALL", "f", "1", "k"]), want);
    assert_eq!((count(&mut client, "jobs_done"), count(&mut client, "jobs_inline")), (1, 4));

    // One that caches what it reads must learn of a change after it has read, not before.
    let mut caching = server.client3();
    caching.ok(&["CLIENT", "TRACKING", "ON"]);
    assert_eq!(caching.ok(&["ND.SUM", "k"]), want);
    assert_eq!((count(&mut client, "jobs_done"), count(&mut client, "jobs_inline")), (1, 5));
    client.ok(&["DEL", "k"]);
    assert!(caching.read().show().contains("invalidate"));
    assert_sound(&server);
}

#[test]
fn a_full_queue_does_not_wait() {
    const QUEUE: usize = 256;
    let server = server();
    let mut client = server.client();
    let want = client.ok(&["ND.SUM", "k"]);
    let (_busy, id) = begin_endless(&server);
    let mut waiting: Vec<Client> = (0..QUEUE).map(|_| server.client()).collect();
    waiting.iter_mut().for_each(|c| send(c, &["ND.SUM", "k"]));
    wait_for(&mut client, "jobs_queued", QUEUE as u64);
    // The only worker does not come back, and yet this is answered.
    assert_eq!(client.ok(&["ND.SUM", "k"]), want);
    assert_eq!((count(&mut client, "jobs_queued"), count(&mut client, "jobs_inline")), (QUEUE as u64, 1));
    end_endless(&server, &id);
    for client in &mut waiting {
        assert_eq!(client.read(), want);
    }
    assert_sound(&server);
}

#[test]
fn without_workers_everything_is_done_at_once() {
    let options = Server::with().module_arg("threads").module_arg("0").config("ndarray.offload-us", 0);
    let server = options.start();
    let mut client = server.client();
    cmd!(client, "ND.CREATE", "k", "int64", "1000", "ARANGE", "0", "1");
    assert_eq!(cmd!(client, "ND.SUM", "k"), Value::Int(499_500));
    assert_eq!((count(&mut client, "jobs_done"), count(&mut client, "jobs_inline")), (0, 1));
}

#[test]
fn small_work_stays_where_it_is() {
    let server = Server::start();
    let mut client = server.client();
    cmd!(client, "ND.CREATE", "k", "float32", "1000", "ARANGE", "0", "1");
    cmd!(client, "ND.CREATE", "large", "uint8", "100000000", "FILL", "1");
    for command in [&["ND.SUM", "k"][..], &["ND.GET", "k"], &["ND.SLICE", "large", "5:50"], &["ND.DIGEST", "k"]] {
        client.ok(command);
    }
    assert_eq!((count(&mut client, "jobs_done"), count(&mut client, "jobs_inline")), (0, 0));
    client.ok(&["ND.SUM", "large"]);
    assert_eq!((count(&mut client, "jobs_done"), count(&mut client, "jobs_inline")), (1, 0));
}

#[test]
fn every_read_that_can_take_long_may_go_to_a_worker() {
    let server = server();
    let mut client = server.client();
    cmd!(client, "ND.SET", "m", "float32", "2,3", "VALUES", "1", "2", "3", "4", "5", "6");
    let reads =
        "ND.GET m|ND.GET m DTYPE int8 JSON|ND.MGET 2 m m|ND.MGET 1 m NPZ|ND.GATHER 2 m m|ND.SHOW m|ND.DIGEST k|\
                 ND.VERIFY k|ND.SLICE m :,1|ND.TAKE m 0 2 1 0|ND.SAMPLE m 1 SEED 1|ND.SUM m|ND.MEAN m AXIS 0|ND.RECODE k DRYRUN";
    for read in reads.split('|') {
        let done = count(&mut client, "jobs_done");
        client.ok(&read.split_whitespace().collect::<Vec<_>>());
        assert_eq!(count(&mut client, "jobs_done"), done + 1, "{read}");
    }
    assert_sound(&server);
}

#[test]
fn errors_and_replies_of_workers_are_those_of_the_main_thread() {
    let server = server();
    let mut client = server.client();
    let error = client.call(&["ND.SUM", "k", "AXIS", "4"]);
    assert!(error.error().is_some_and(|e| e.starts_with("INDEX axis 4")), "{error:?}");
    assert_eq!(client.info("errorstats", "errorstat_INDEX").as_deref(), Some("count=1"));
    let stats = client.info("commandstats", "cmdstat_ND.SUM").expect("its statistics");
    assert!(stats.starts_with("calls=1,") && stats.contains("failed_calls=1"), "{stats}");
    // Whatever is sent behind it is answered behind it.
    let mut out = Vec::new();
    for command in [&["ND.SUM", "k"][..], &["PING"], &["ND.SLICE", "k", "3", "VALUES"], &["ECHO", "x"]] {
        encode(command, &mut out);
    }
    client.send_raw(&out);
    let replies: Vec<String> = (0..4).map(|_| client.read().show()).collect();
    assert_eq!((replies[1].as_str(), replies[3].as_str()), ("PONG", "\"x\""));
    // A reply that the client does not want stays unsent.
    client.send_raw(b"CLIENT REPLY SKIP\r\nND.SUM k\r\nPING\r\n");
    assert_eq!(client.read().show(), "PONG");
    // Its own reads leave a transaction alone.
    client.ok(&["WATCH", "k"]);
    client.ok(&["ND.SUM", "k"]);
    client.ok(&["MULTI"]);
    client.ok(&["PING"]);
    assert_eq!(client.ok(&["EXEC"]).array().len(), 1);
    assert_eq!(count(&mut client, "jobs_inline"), 0);
    assert_sound(&server);
}

#[test]
fn becoming_a_replica_ends_jobs_and_says_so() {
    let server = server();
    let (mut busy, _) = begin_endless(&server);
    let mut queued = server.client();
    send(&mut queued, &["ND.SUM", "k"]);
    let mut client = server.client();
    wait_for(&mut client, "jobs_queued", 1);
    client.ok(&["REPLICAOF", "127.0.0.1", "1"]);
    for client in [&mut busy, &mut queued] {
        let reply = client.read();
        assert!(reply.error().is_some_and(|e| e.starts_with("UNBLOCKED")), "{reply:?}");
    }
    wait_for(&mut client, "jobs_cancelled", 2);
    client.ok(&["REPLICAOF", "NO", "ONE"]);
    assert_sound(&server);
}

#[test]
fn the_server_ends_at_once_whatever_runs() {
    let server = start(Server::with().config("save", "3600 1"));
    let (_busy, _) = begin_endless(&server);
    let mut queued = server.client();
    send(&mut queued, &["ND.GET", "k"]);
    wait_for(&mut server.client(), "jobs_queued", 1);
    let error = server.client().call(&["MODULE", "UNLOAD", "ndarray"]);
    assert!(error.error().is_some(), "{error:?}");
    let server = server.restart(true);
    let mut client = server.client();
    assert!(client.ok(&["ND.GET", "k", "BLOB"]).bytes() == pattern());
    assert_sound(&server);
}

#[test]
fn children_that_save_are_not_disturbed_by_workers() {
    let server = start(Server::with().append_only("no").module_arg("codec").module_arg("lz4"));
    let mut client = server.client();
    cmd!(client, "ND.CREATE", "c", "int64", "300000", "ARANGE", "0", "1");
    let digests = |server: &Server| ["k", "c"].map(|key| server.client().ok(&["ND.DIGEST", key]).text());
    let before = digests(&server);
    let (_busy, id) = begin_endless(&server);
    // Forks while a job runs and others wait, and then amid jobs that decode, allocate, hash and reply.
    save(&server);
    server.rewrite_aof();
    end_endless(&server, &id);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for command in [&["ND.GET", "c", "PIECES"][..], &["ND.SUM", "c"], &["ND.VERIFY", "c"], &["ND.SHOW", "k"]] {
            let (server, stop) = (&server, &stop);
            scope.spawn(move || {
                let mut client = server.client();
                while !stop.load(Ordering::Relaxed) {
                    client.ok(command);
                }
            });
        }
        for _ in 0..10 {
            save(&server);
            server.rewrite_aof();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_sound(&server);
    let server = server.crash_and_restart();
    assert_eq!(digests(&server), before);
}

#[test]
fn helpers_change_nothing_but_the_time() {
    const SIZE: usize = 2 << 20;
    let bytes: Vec<u8> = (0..SIZE as u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
    let pieces: Vec<&[u8]> = bytes.chunks(300_001).collect();
    let answers = |threads: &str| {
        let server = Server::with().module_arg("threads").module_arg(threads).start();
        let mut client = server.client();
        let (size, shape, parts) = (SIZE.to_string(), (SIZE / 1024).to_string() + ",1024", pieces.len().to_string());
        let head = |key: &'static str| [&b"ND.SET"[..], key.as_bytes(), b"uint32"];
        let blob = [&head("blob")[..], &[size.as_bytes(), b"BLOB", &bytes, b"CODEC", b"lz4"]].concat();
        let cut =
            [&head("cut")[..], &[size.as_bytes(), b"PIECES", parts.as_bytes()], &pieces, &[b"CODEC", b"lz4"]].concat();
        let tiles = [&head("tiles")[..], &[shape.as_bytes(), b"BLOB", &bytes, b"CHUNK", b"100,100"]].concat();
        for command in [&blob, &cut, &tiles] {
            client.ok(command);
        }
        let mut all = Vec::new();
        for key in ["blob", "cut", "tiles"] {
            assert!(client.ok(&["ND.GET", key, "BLOB"]).bytes() == bytes);
            for command in [&["ND.DIGEST", key][..], &["ND.SUM", key], &["ND.INFO", key], &["ND.VERIFY", key]] {
                all.push(client.ok(command).show());
            }
        }
        (all, count(&mut client, "helpers_started"))
    };
    let (alone, none) = answers("0");
    let (helped, some) = answers("4");
    assert_eq!(alone, helped);
    let is_one_core = std::thread::available_parallelism().is_ok_and(|n| n.get() == 1);
    assert_eq!((none, some > 0), (0, !is_one_core));
}

/// Saves in the background and waits for the end.
fn save(server: &Server) {
    let mut client = server.client();
    client.ok(&["BGSAVE", "SCHEDULE"]);
    let mut ended = |field: &str, value: &str| client.info("persistence", field).as_deref() == Some(value);
    wait_until(DEADLINE, "the save ends", || ended("rdb_bgsave_in_progress", "0"));
    assert!(ended("rdb_last_bgsave_status", "ok"), "{}", server.log_tail());
}

#[test]
fn jobs_leave_no_memory_behind() {
    let server = server();
    let mut client = server.client();
    let used =
        |client: &mut Client| client.info("memory", "used_memory").expect("it").parse::<u64>().expect("a number");
    let round = |client: &mut Client| {
        for command in
            [&["ND.SUM", "k", "SLICE", "::2"][..], &["ND.SLICE", "k", "::3", "BLOB"], &["ND.GET", "k", "JSON"]]
        {
            client.ok(command);
        }
        // Left behind by their clients: one at work, one in the queue.
        let (busy, _) = begin_endless(&server);
        let mut queued = server.client();
        send(&mut queued, &["ND.GET", "k"]);
        wait_for(client, "jobs_queued", 1);
        drop((busy, queued));
        wait_for(client, "jobs_queued", 0);
        wait_for(client, "jobs_running", 0);
        wait_until(DEADLINE, "the connections are gone", || {
            client.info("clients", "connected_clients").as_deref() == Some("1")
        });
    };
    round(&mut client);
    let before = used(&mut client);
    (0..40).for_each(|_| round(&mut client));
    let grown = used(&mut client).saturating_sub(before);
    assert!(grown < 512 << 10, "{grown} bytes more after 40 rounds");
    assert_sound(&server);
}
