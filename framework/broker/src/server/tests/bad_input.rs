//! Whatever comes over the wire ends in an answer or a closed connection, and others go on.
//!
//! `ONCESTREAM_FUZZ_FRAMES` sets the number of frames, `ONCESTREAM_FUZZ_SEED` repeats a run:
//! `ONCESTREAM_FUZZ_FRAMES=1000000 cargo test --release -p oncestream-broker bad_input`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::frames::{Random, request};
use crate::Broker;
use crate::server::apis::{APIS, Api};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// A panic in a connection would only close it; here it is counted.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("oncestream-broker") {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}

fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(broker.bootstrap_servers()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut out = (frame.len() as i32).to_be_bytes().to_vec();
    out.extend(frame);
    out
}

/// Is the broker still there for others?
fn ask_versions(stream: &mut TcpStream) {
    let api = Api::find(18).unwrap();
    let frame = framed(&request(&mut Random::new(1), api, 0));
    stream.write_all(&frame).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..6], [0, 0, 0, 7, 0, 0], "correlation id, no error");
}

/// One frame: noise, or a request that was damaged, or one that is sound.
fn frame(random: &mut Random) -> Vec<u8> {
    let api = &APIS[random.below(APIS.len())];
    let version = api.min + random.below((api.max - api.min + 1) as usize) as i16;
    let mut bytes = request(random, api, version);
    match random.below(8) {
        0 => return (0..random.below(200)).map(|_| random.next() as u8).collect(),
        1 => bytes.truncate(random.below(bytes.len())),
        2 => bytes.extend((0..random.below(50)).map(|_| 0xff)),
        3 => bytes[2..4].copy_from_slice(&(random.next() as i16).to_be_bytes()),
        4 => {}
        _ => {
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = [0, 0x7f, 0x80, 0xff, random.next() as u8][random.below(5)];
            }
        }
    }
    framed(&bytes)
}

/// Resident memory in bytes, where the system tells it.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split_whitespace().nth(1)?.parse::<u64>().ok()? * 4096)
}

#[test]
fn random_frames_never_stop_the_broker() {
    count_panics();
    let setting = |name: &str, otherwise: u64| {
        std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let frames = setting("ONCESTREAM_FUZZ_FRAMES", 10_000);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = setting("ONCESTREAM_FUZZ_SEED", u64::from(now.subsec_nanos()));
    println!("ONCESTREAM_FUZZ_SEED={seed}");
    let broker = Broker::builder().start_blocking().unwrap();
    broker.create_topic("topic", 2).unwrap();
    let mut random = Random::new(seed);
    let mut other = connect(&broker);
    let before = resident();
    // Connections whose request waits for something are left open, a bounded number of them.
    let mut waiting = std::collections::VecDeque::new();
    for number in 0..frames {
        let mut stream = connect(&broker);
        let _ = stream.write_all(&frame(&mut random));
        let _ = stream.shutdown(Shutdown::Write);
        waiting.push_back(stream);
        if waiting.len() > 50 {
            waiting.pop_front();
        }
        if number % 500 == 0 {
            ask_versions(&mut other);
        }
    }
    ask_versions(&mut other);
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    if let (Some(before), Some(after)) = (before, resident()) {
        let grown = after.saturating_sub(before);
        assert!(grown < (256 << 20) + frames * 2_000, "{grown} bytes more after {frames} frames");
    }
}

#[test]
fn a_claimed_length_is_not_reserved_for_and_half_a_request_hurts_nobody() {
    count_panics();
    let broker = Broker::builder().start_blocking().unwrap();
    let mut other = connect(&broker);
    let before = resident();
    let claims: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = connect(&broker);
            stream.write_all(&(100_i32 << 20).to_be_bytes()).unwrap();
            stream.write_all(&[0; 100]).unwrap();
            stream
        })
        .collect();
    ask_versions(&mut other);
    if let (Some(before), Some(after)) = (before, resident()) {
        assert!(after.saturating_sub(before) < 200 << 20, "200 claims of 100 MiB each");
    }
    drop(claims);
    ask_versions(&mut other);
}

#[test]
fn a_length_that_cannot_be_closes_the_connection() {
    let broker = Broker::builder()
        .setting("socket.request.max.bytes", "1000")
        .unwrap()
        .start_blocking()
        .unwrap();
    for length in [0, -1, 1001, i32::MIN, i32::MAX] {
        let mut stream = connect(&broker);
        stream.write_all(&length.to_be_bytes()).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "{length}");
    }
    ask_versions(&mut connect(&broker));
}

#[test]
fn a_silent_connection_is_closed_when_its_time_is_up() {
    let broker = Broker::builder()
        .setting("connections.max.idle.ms", "50")
        .unwrap()
        .start_blocking()
        .unwrap();
    assert_eq!(connect(&broker).read(&mut [0; 16]).unwrap(), 0);
}
