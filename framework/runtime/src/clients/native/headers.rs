//! The headers of a record, whatever their names are.
//!
//! The crate rdkafka panics over a name that is not UTF-8, and librdkafka ends a name at a NUL in it.
//! Kafka's names are UTF-8, so such a record counts as one that cannot be deserialised. Its headers are read
//! as far as possible, together with what is wrong with them.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::{ptr, slice};

use oncestream_core::serde::SerdeError;
use oncestream_core::{Header, Headers};
use rdkafka::bindings as sys;
use rdkafka::types::RDKafkaRespErr;

/// So many headers may be looked at to be sure of names, which takes a second.
const MAX_STEPS: usize = 100_000_000;

/// The headers that were read, and why they are not those of the record, if they are not.
pub(crate) type Read = (Headers, Option<Box<SerdeError>>);

/// The headers of a message. One whose name is no text has a name that tells what could be read.
///
/// # Safety
/// The message lives, and nothing else looks at it during the call.
pub(super) unsafe fn headers_of(message: *const sys::rd_kafka_message_t) -> Read {
    let mut list = ptr::null_mut();
    // SAFETY: as the caller promises. The list that the call may tell is a part of the message.
    let code = unsafe { sys::rd_kafka_message_headers(message, &raw mut list) };
    match code {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__NOENT => (Headers::default(), None),
        // SAFETY: the list lives as long as the message, and what is read of it is copied.
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => unsafe { read(list) },
        // Too many of them, or bytes that are none.
        _ => (Headers::default(), Some(Box::new(SerdeError::format::<Headers>(UNREAD)))),
    }
}

const UNREAD: &str = "the client cannot read them; it takes up to 100,000 on a record";
const UNSURE: &str =
    "so many have no value that the client cannot say in time where their names end";
const NOT_UTF8: &str = "is not UTF-8";
const CUT: &str = "has a NUL in it, where the client cuts it off";

/// Reads a list of headers.
///
/// # Safety
/// The list lives, and nobody changes it during the call.
unsafe fn read(list: *const sys::rd_kafka_headers_t) -> Read {
    // SAFETY: as the caller promises.
    let count = unsafe { sys::rd_kafka_header_cnt(list) };
    let mut headers = Vec::with_capacity(count);
    let mut doubtful = false;
    let mut fault = None;
    for index in 0..count {
        // SAFETY: as the caller promises; what is looked at is not used after the list.
        let Some(seen) = (unsafe { look_at(list, index) }) else { break };
        let name = seen.name.to_bytes();
        let key = String::from_utf8_lossy(name).into_owned();
        if fault.is_none() && key.as_bytes() != name {
            let name = name.escape_ascii().to_string();
            fault = Some(Box::new(SerdeError::HeaderName { name, fault: NOT_UTF8 }));
        }
        doubtful |= !seen.is_whole;
        headers.push(Header { key, value: seen.value.map(<[u8]>::to_vec) });
    }
    if fault.is_none() && doubtful {
        // SAFETY: as the caller promises.
        fault = unsafe { find_cut_name(list, count) }.map(Box::new);
    }
    (headers.into_iter().collect(), fault)
}

/// One header in its list.
struct Seen<'a> {
    name: &'a CStr,
    value: Option<&'a [u8]>,
    /// The name is known to end where its bytes have the first NUL.
    is_whole: bool,
}

/// # Safety
/// The list lives, and nobody changes it, for `'a`.
unsafe fn look_at<'a>(list: *const sys::rd_kafka_headers_t, index: usize) -> Option<Seen<'a>> {
    let (mut name, mut value) = (ptr::null::<c_char>(), ptr::null::<c_void>());
    let mut len = 0;
    // SAFETY: as the caller promises; the places that the call writes to are ours.
    let code = unsafe {
        sys::rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut len)
    };
    if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
        return None;
    }
    // SAFETY: librdkafka ends each name with a NUL; it lives as long as the list.
    let name = unsafe { CStr::from_ptr(name) };
    let start: *const u8 = value.cast();
    // SAFETY: a value that is not null has `len` bytes, which live as long as the list.
    let value = (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) });
    // librdkafka puts the value behind the NUL of the name. If it does so no more, or there is no
    // value, the name is in doubt, and is looked up. Addresses are compared, and nothing is read.
    let is_whole = start.addr() == name.as_ptr().addr() + name.to_bytes_with_nul().len();
    Some(Seen { name, value, is_whole })
}

/// What is wrong if a name goes on behind its first NUL. librdkafka knows the lengths of names, and
/// tells them by finding a header only under a name of the same length: a name that is there `n`
/// times has to be found `n` times. It walks the list for that, so this is bounded.
///
/// # Safety
/// The list lives, and nobody changes it during the call.
unsafe fn find_cut_name(list: *const sys::rd_kafka_headers_t, count: usize) -> Option<SerdeError> {
    let mut times: HashMap<&CStr, usize> = HashMap::with_capacity(count);
    let mut doubtful = Vec::new();
    for index in 0..count {
        // SAFETY: as the caller promises; what is looked at is not used after the call.
        let seen = unsafe { look_at(list, index) }?;
        *times.entry(seen.name).or_default() += 1;
        if !seen.is_whole {
            doubtful.push(seen.name);
        }
    }
    if doubtful.len().saturating_mul(count) > MAX_STEPS {
        return Some(SerdeError::format::<Headers>(UNSURE));
    }
    let is_cut = |name: &&CStr| {
        // Each name once.
        let Some(times) = times.remove(*name) else { return false };
        let (mut value, mut len) = (ptr::null::<c_void>(), 0);
        // SAFETY: as the caller promises; the places that the call writes to are ours.
        let code = unsafe {
            let (value, len) = (&raw mut value, &raw mut len);
            sys::rd_kafka_header_get(list, times - 1, name.as_ptr(), value, len)
        };
        code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
    };
    let name = doubtful.into_iter().find(is_cut)?;
    let name = format!("{}\\0", name.to_bytes().escape_ascii());
    Some(SerdeError::HeaderName { name, fault: CUT })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use oncestream_broker::Broker;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use rdkafka::message::{Header as Sent, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};

    use super::*;

    /// Long enough for valgrind.
    const TIMEOUT: Duration = Duration::from_secs(120);

    /// What is read of a list with these names and values.
    fn read_of(given: &[(&[u8], Option<&[u8]>)]) -> (Vec<String>, Option<String>) {
        // SAFETY: the list is ours until `destroy`. Names and values have the lengths that are
        // told, and are copied.
        let (headers, fault) = unsafe {
            let list = sys::rd_kafka_headers_new(given.len());
            for (name, value) in given {
                let start = value.map_or(ptr::null(), <[u8]>::as_ptr);
                let (name, name_len) = (name.as_ptr().cast(), name.len() as isize);
                let value_len = value.map_or(0, <[u8]>::len) as isize;
                sys::rd_kafka_header_add(list, name, name_len, start.cast(), value_len);
            }
            let found = read(list);
            sys::rd_kafka_headers_destroy(list);
            found
        };
        for (header, (_, value)) in headers.iter().zip(given) {
            assert_eq!(header.value.as_deref(), *value);
        }
        (headers.iter().map(|h| h.key.clone()).collect(), fault.map(|f| f.to_string()))
    }

    #[test]
    fn names_that_are_text_are_read_as_they_are() {
        let given: [(&[u8], Option<&[u8]>); 6] = [
            (b"", Some(b"")),
            (b"a", None),
            (b"a", Some(b"\0")),
            (b"a", None),
            ("ünï".as_bytes(), None),
            (b"", None),
        ];
        let (names, fault) = read_of(&given);
        assert_eq!((names.join(","), fault), (",a,a,a,ünï,".to_owned(), None));
    }

    #[test]
    fn a_name_that_is_no_text_is_told_and_costs_no_value() {
        for value in [None, Some(b"v".as_slice())] {
            for (name, told) in [
                (b"trace\xff".as_slice(), r"trace\xff` is not UTF-8"),
                (b"\xc3", r"`\xc3` is not UTF-8"),
                (b"tr\0ace", r"`tr\0` has a NUL"),
                (b"\0", r"`\0` has a NUL"),
                (b"a\0", r"`a\0` has a NUL"),
            ] {
                // A name of the same beginning does not hide it.
                let given =
                    [(b"a".as_slice(), None), (name, value), (b"a", Some(b"1")), (b"tr", None)];
                let (names, fault) = read_of(&given);
                assert_eq!(names.len(), 4);
                let fault = fault.unwrap_or_else(|| panic!("{name:?} {value:?} was taken"));
                assert!(fault.contains(told), "{fault}");
            }
        }
    }

    #[test]
    fn thousands_of_headers_are_read_in_time_or_told() {
        for (count, value, told) in
            [(5000, None, false), (100_000, Some(b"v".as_slice()), false), (100_000, None, true)]
        {
            let names: Vec<String> = (0..count).map(|n| format!("name-{n}")).collect();
            let given: Vec<_> = names.iter().map(|n| (n.as_bytes(), value)).collect();
            let begun = Instant::now();
            let (found, fault) = read_of(&given);
            assert!(begun.elapsed() < TIMEOUT / 4, "{:?}", begun.elapsed());
            assert_eq!(found, names);
            assert_eq!(fault.is_some(), told, "{count} {fault:?}");
        }
    }

    #[test]
    fn a_record_is_read_with_its_headers_and_without() {
        let broker = Broker::builder().start_blocking().unwrap();
        broker.create_topic("t", 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers()).set("group.id", "g");
        let producer: BaseProducer = config.create().unwrap();
        let sent = |key| OwnedHeaders::new().insert(Sent { key, value: Some("v") });
        for headers in [None, Some(sent("good")), Some(sent("b\0ad"))] {
            let mut record = BaseRecord::<str, str>::to("t").payload("v");
            record.headers = headers;
            producer.send(record).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("t", 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let mut seen = Vec::new();
        let deadline = Instant::now() + TIMEOUT;
        while seen.len() < 3 {
            assert!(Instant::now() < deadline, "{seen:?}");
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.unwrap();
            // SAFETY: the message lives.
            let (found, fault) = unsafe { headers_of(message.ptr()) };
            let names: Vec<String> = found.iter().map(|h| h.key.clone()).collect();
            seen.push((names.join(","), fault.is_some()));
        }
        let expected = [("", false), ("good", false), ("b", true)];
        assert_eq!(seen, expected.map(|(names, fault)| (names.to_owned(), fault)));
    }
}
