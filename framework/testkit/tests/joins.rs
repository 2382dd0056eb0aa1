//! Joins of streams on the test driver: which pairs come and when, what comes of records without one, and
//! that no crash changes any of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use oncestream_core::{Header, Record};
use oncestream_operators::{JoinWindows, KStream, StreamJoined, StreamsBuilder};
use oncestream_testkit::TopologyTestDriver;

type Strings = KStream<String, String>;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn ten() -> JoinWindows {
    JoinWindows::of_time_difference_with_no_grace(ms(10))
}

fn pair(left: Option<&String>, right: Option<&String>) -> String {
    let or_none = |value: Option<&String>| value.map_or("-", String::as_str).to_owned();
    format!("{}+{}", or_none(left), or_none(right))
}

/// The streams `left` and `right`, joined into `out`.
fn joining(join: impl Fn(&Strings, &Strings) -> Strings) -> TopologyTestDriver {
    let b = StreamsBuilder::new();
    let (left, right) = (b.stream("left"), b.stream("right"));
    join(&left, &right).to("out");
    TopologyTestDriver::builder(b.build().unwrap()).application_id("app").build().unwrap()
}

fn inner(windows: JoinWindows) -> TopologyTestDriver {
    joining(move |left, right| left.join(right, windows, |l, r| pair(Some(l), Some(r))))
}

fn left(windows: JoinWindows) -> TopologyTestDriver {
    joining(move |left, right| left.left_join(right, windows, |l, r| pair(Some(l), r)))
}

fn outer(joined: impl Into<StreamJoined<String, String, String>>) -> TopologyTestDriver {
    let joined = joined.into();
    joining(move |left, right| left.outer_join(right, joined.clone(), pair))
}

fn pipe(driver: &mut TopologyTestDriver, topic: &str, value: &str, time: i64) {
    pipe_of(driver, topic, ("k", value), time);
}

fn pipe_of(driver: &mut TopologyTestDriver, topic: &str, (key, value): (&str, &str), time: i64) {
    let input = driver.input::<String, String>(topic);
    driver.pipe(&input, key.to_owned(), value.to_owned(), time).unwrap();
}

/// Pipes records, each a topic and a value that ends with its time.
fn play(driver: &mut TopologyTestDriver, records: &[&str]) {
    for record in records {
        let (topic, value) = record.split_once(' ').unwrap();
        pipe(driver, topic, value, time_of(value));
    }
}

fn time_of(value: &str) -> i64 {
    value.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// All that has come, with its time.
fn told(driver: &TopologyTestDriver) -> Vec<String> {
    let records = driver.output::<String, String>("out").read_all().unwrap();
    records.iter().map(|record| format!("{}@{}", record.value, record.timestamp)).collect()
}

fn restart(driver: &mut TopologyTestDriver) {
    driver.crash_and_lose_disk().unwrap();
    driver.recover().unwrap();
}

#[test]
fn records_are_joined_both_ways_up_to_the_difference_in_time() {
    let mut driver = inner(ten());
    play(&mut driver, &["left a10", "right w0", "right x20", "right y21", "left b12", "left c31"]);
    assert_eq!(
        told(&driver),
        ["a10+w0@10", "a10+x20@20", "b12+x20@20", "b12+y21@21", "c31+y21@31"]
    );
}

/// The pictures of `docs/joins.md`: the records there, and after each what has come.
#[test]
fn each_kind_of_join_gives_what_its_picture_shows() {
    let records = [
        ("right", "x", 5),
        ("left", "a", 12),
        ("right", "y", 18),
        ("left", "b", 30),
        ("right", "z", 45),
        ("right", "w", 60),
    ];
    let pictured = |mut driver: TopologyTestDriver| -> Vec<(i64, String)> {
        let mut came = Vec::new();
        for (topic, value, time) in records {
            pipe(&mut driver, topic, value, time);
            let new = told(&driver).into_iter().skip(came.len());
            came.extend(new.map(|result| (time, result)).collect::<Vec<_>>());
        }
        came
    };
    let expected = |of: &[(i64, &str)]| -> Vec<(i64, String)> {
        of.iter().map(|(time, result)| (*time, (*result).to_owned())).collect()
    };
    let pairs = [(12, "a+x@12"), (18, "a+y@18")];
    assert_eq!(pictured(inner(ten())), expected(&pairs));
    let [one, two] = pairs;
    assert_eq!(pictured(left(ten())), expected(&[one, two, (45, "b+-@30")]));
    let both = [one, two, (45, "b+-@30"), (60, "-+z@45")];
    assert_eq!(pictured(outer(ten())), expected(&both));

    let mut driver = joining(|left, _| left.self_join(ten(), |l, r| pair(Some(l), Some(r))));
    for (value, time) in [("a", 10), ("b", 15)] {
        pipe(&mut driver, "left", value, time);
    }
    assert_eq!(told(&driver), ["a+a@10", "b+a@15", "a+b@15", "b+b@15"]);
}

#[test]
fn records_of_another_key_are_none_of_its_business() {
    let mut driver = inner(ten());
    for (topic, key) in [("left", "a"), ("right", "ab"), ("right", ""), ("right", "a")] {
        pipe_of(&mut driver, topic, (key, topic), 5);
    }
    assert_eq!(told(&driver), ["left+right@5"]);
}

#[test]
fn windows_may_reach_to_one_side_or_lie_apart_from_their_record() {
    let later = ten().before(ms(0));
    let mut driver = inner(later);
    play(&mut driver, &["right w9", "left a10", "right x10", "right y20", "right z21"]);
    assert_eq!(told(&driver), ["a10+x10@10", "a10+y20@20"]);

    let mut driver = inner(ten().between_ms(3, 5));
    play(&mut driver, &["left a10", "right v12", "right w13", "right x15", "right y16"]);
    assert_eq!(told(&driver), ["a10+w13@13", "a10+x15@15"]);
}

/// Kafka Streams forgets the left record here when another left record comes with the time of the window's
/// end.
#[test]
fn a_record_is_kept_until_its_window_has_closed_wherever_the_window_ends() {
    let mut driver = inner(ten().before(ms(0)));
    play(&mut driver, &["left a0", "left b10", "right x10"]);
    assert_eq!(told(&driver), ["a0+x10@10", "b10+x10@10"]);

    let mut driver = inner(ten().between_ms(3, 12));
    play(&mut driver, &["left a0", "left b12", "right x12"]);
    assert_eq!(told(&driver), ["a0+x12@12"]);
}

/// Kafka Streams joins nothing here.
#[test]
fn a_difference_of_zero_joins_what_has_one_time() {
    let mut driver = outer(JoinWindows::of_time_difference_with_no_grace(ms(0)));
    play(&mut driver, &["left a5", "right x5", "right y6", "left b7"]);
    assert_eq!(told(&driver), ["a5+x5@5", "-+y6@6"]);
}

#[test]
fn several_records_of_one_time_are_joined_each_in_the_order_in_which_they_came() {
    let mut driver = inner(ten());
    play(&mut driver, &["left b5", "left a5", "left b5", "right x5"]);
    assert_eq!(told(&driver), ["b5+x5@5", "a5+x5@5", "b5+x5@5"]);
}

/// Duplicates are told apart by a number that the store counts. It goes on after a restart.
#[test]
fn no_record_takes_the_place_of_another_after_a_restart() {
    for lose_disk in [false, true] {
        let mut driver = inner(ten());
        for value in ["a5", "b5", "c5"] {
            play(&mut driver, &[&format!("left {value}")]);
            if lose_disk {
                driver.crash_and_lose_disk().unwrap();
            } else {
                driver.crash();
            }
            driver.recover().unwrap();
        }
        play(&mut driver, &["right x5"]);
        assert_eq!(told(&driver), ["a5+x5@5", "b5+x5@5", "c5+x5@5"]);
        assert_eq!(driver.changelog("KSTREAM-JOINTHIS-0000000004-store").len(), 3);
    }
}

#[test]
fn a_result_has_the_later_time_and_the_headers_of_the_record_that_came_last() {
    let mut driver = inner(ten());
    let record = |value: &str, time| {
        let record = Record::new("k".to_owned(), value.to_owned(), time);
        record.with_headers(vec![Header::new("of", value.as_bytes().to_vec())])
    };
    let (left, right) = (driver.input::<String, String>("left"), driver.input("right"));
    driver.pipe_record(&left, record("a", 9)).unwrap();
    driver.pipe_record(&right, record("x", 5)).unwrap();
    let came = driver.output::<String, String>("out").read_all().unwrap();
    let header = came[0].headers.iter().next().unwrap();
    assert_eq!((came[0].timestamp, header.value.as_deref()), (9, Some(&b"x"[..])));
}

#[test]
fn a_left_record_without_a_partner_is_told_of_once_when_its_window_has_closed() {
    let mut driver = left(ten());
    play(&mut driver, &["left a0", "right x5", "left b20", "right y40"]);
    assert_eq!(told(&driver), ["a0+x5@5", "b20+-@20"], "and none of the right stream");
    restart(&mut driver);
    play(&mut driver, &["left c60", "right z100", "right z101"]);
    assert_eq!(told(&driver), ["a0+x5@5", "b20+-@20", "c60+-@60"]);
}

#[test]
fn a_window_is_open_until_the_grace_behind_its_end_has_passed() {
    let windows = JoinWindows::of_time_difference_and_grace(ms(10), ms(5));
    let mut driver = left(windows);
    play(&mut driver, &["left a0", "right x15"]);
    assert_eq!(told(&driver), [""; 0], "the end is 10, and its grace ends with 15");
    play(&mut driver, &["right y16"]);
    assert_eq!(told(&driver), ["a0+-@0"]);
}

/// Kafka Streams tells of such a record at once, and joins it later all the same.
#[test]
fn a_record_out_of_order_waits_for_its_partner_as_long_as_any_other() {
    let windows = JoinWindows::of_time_difference_and_grace(ms(10), ms(20));
    let mut driver = outer(windows);
    play(&mut driver, &["right far40", "left a15", "right x16"]);
    assert_eq!(told(&driver), ["a15+x16@16"]);
    // This one is later than the grace: nobody is waited for.
    play(&mut driver, &["left b5"]);
    assert_eq!(told(&driver), ["a15+x16@16", "b5+-@5"]);
}

#[test]
fn both_sides_of_an_outer_join_are_told_of_in_the_order_of_time() {
    let mut driver = outer(ten());
    for (topic, key, time) in [
        ("left", "b", 3),
        ("right", "d", 3),
        ("right", "c", 2),
        ("left", "a", 3),
        ("left", "z", 50),
    ] {
        pipe_of(&mut driver, topic, (key, key), time);
    }
    // Of one time the right ones are first, and then the bytes of the keys decide.
    assert_eq!(told(&driver), ["-+c@2", "-+d@3", "a+-@3", "b+-@3"]);
}

#[test]
fn what_waits_and_how_far_time_has_come_survive_a_lost_disk() {
    let records = [
        "left a0",
        "left a0",
        "right x30",
        "left b31",
        "left c45",
        "right y46",
        "right z60",
        "left d61",
        "right w61",
        "left e90",
        "right v140",
    ];
    let mut undisturbed = outer(ten());
    play(&mut undisturbed, &records);
    let mut driver = outer(ten());
    for record in records {
        play(&mut driver, &[record]);
        restart(&mut driver);
    }
    assert_eq!(told(&driver), told(&undisturbed));
    assert!(told(&driver).starts_with(&["a0+-@0".to_owned(), "a0+-@0".to_owned()]), "both of them");
}

#[test]
fn what_was_joined_with_none_is_looked_for_by_the_clock_where_it_is_asked_for() {
    let a_second = StreamJoined::new(ten()).look_at_most_every(Duration::from_secs(1));
    let mut driver = outer(a_second);
    // The first record looks, and there is nothing.
    play(&mut driver, &["left a0", "left b20"]);
    driver.advance_wall_clock(999).unwrap();
    play(&mut driver, &["left c40"]);
    assert_eq!(told(&driver), [""; 0]);
    driver.advance_wall_clock(1).unwrap();
    play(&mut driver, &["left d60", "left e80"]);
    assert_eq!(told(&driver), ["a0+-@0", "b20+-@20", "c40+-@40"]);
}

/// Numbers from a seed, for inputs: xorshift.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A record: whether it is a left one, its key, value and time.
type Input = (bool, &'static str, String, i64);

/// Records of which none is behind the newest by more than the grace.
fn in_time(seed: u64, grace: u64) -> Vec<Input> {
    let mut numbers = Numbers(seed);
    let mut newest = 100;
    let mut record = |at: usize| {
        newest += numbers.below(8) as i64;
        let key = ["a", "b", "c"][numbers.below(3) as usize];
        let time = newest - numbers.below(grace + 1) as i64;
        (numbers.below(2) == 0, key, format!("v{at}"), time)
    };
    (0..50).map(&mut record).collect()
}

/// What the outer join must give in the end.
fn expected(inputs: &[Input], (before, after): (i64, i64)) -> Vec<String> {
    let is_pair = |l: &Input, r: &Input| {
        l.0 && !r.0 && l.1 == r.1 && (-before..=after).contains(&(r.3 - l.3))
    };
    let mut all = Vec::new();
    for one in inputs {
        let partners: Vec<&Input> = inputs.iter().filter(|other| is_pair(one, other)).collect();
        for other in &partners {
            all.push(format!("{}+{}@{}", one.2, other.2, one.3.max(other.3)));
        }
        let has_none = !inputs.iter().any(|other| is_pair(one, other) || is_pair(other, one));
        if has_none && one.0 {
            all.push(format!("{}+-@{}", one.2, one.3));
        } else if has_none {
            all.push(format!("-+{}@{}", one.2, one.3));
        }
    }
    all.sort();
    all
}

#[test]
fn records_that_are_in_time_give_each_pair_once_and_each_record_without_one_once() {
    for seed in 1..=6 {
        for (before, after) in [(10, 10), (0, 9), (7, 0), (-2, 8), (12, -5), (0, 0)] {
            let grace = 15;
            let windows = JoinWindows::of_time_difference_and_grace(ms(0), ms(grace));
            let mut driver = outer(windows.between_ms(-before, after));
            let inputs = in_time(seed, grace);
            for (is_left, key, value, time) in &inputs {
                let topic = if *is_left { "left" } else { "right" };
                pipe_of(&mut driver, topic, (key, value), *time);
                if seed % 3 == 0 {
                    restart(&mut driver);
                }
            }
            // What waits is told of when time goes on; twice, because the first look may come early.
            for time in [10_000, 20_000, 30_000] {
                pipe_of(&mut driver, "left", ("end", "end"), time);
            }
            let mut came = told(&driver);
            came.retain(|result| !result.starts_with("end"));
            came.sort();
            assert_eq!(came, expected(&inputs, (before, after)), "{seed}, {before}, {after}");
        }
    }
}

#[test]
fn a_stream_joined_with_itself_is_what_self_join_gives() {
    for (before, after, grace) in
        [(10, 10, 0), (0, 9, 5), (7, 0, 0), (3, 12, 5), (0, 0, 0), (-3, 12, 5)]
    {
        let windows = JoinWindows::of_time_difference_and_grace(ms(0), ms(grace));
        let windows = windows.between_ms(-before, after);
        let b = StreamsBuilder::new();
        let all = b.stream::<String, String>("in");
        let pair = |l: &String, r: &String| format!("{l}+{r}");
        all.join(&all, StreamJoined::new(windows).name("two"), pair).to("two");
        all.self_join(StreamJoined::new(windows).name("one"), pair).to("one");
        let builder = TopologyTestDriver::builder(b.build().unwrap());
        let mut driver = builder.application_id("app").build().unwrap();
        let mut numbers = Numbers(7);
        for at in 0..80 {
            let key = ["a", "b"][numbers.below(2) as usize];
            let time = at * 4 - numbers.below(40).min(at as u64 * 4) as i64;
            pipe_of(&mut driver, "in", (key, &format!("v{at}")), time);
            if at % 9 == 0 {
                restart(&mut driver);
            }
        }
        let of = |topic| driver.output::<String, String>(topic).read_all().unwrap();
        let (two, one) = (of("two"), of("one"));
        assert!(one.len() >= 20, "{}", one.len());
        let shown = |records: Vec<Record<String, String>>| -> Vec<String> {
            records.iter().map(|r| format!("{} {}@{}", r.key, r.value, r.timestamp)).collect()
        };
        let (mut two, mut one) = (shown(two), shown(one));
        two.sort();
        one.sort();
        assert_eq!(one, two, "{before}, {after}, {grace}");
    }
}

/// Nullable keys and values.
type Text = Option<String>;

#[test]
fn a_null_value_is_dropped_and_a_null_key_has_no_partner() {
    let b = StreamsBuilder::new();
    let (left, right) = (b.stream::<Text, Text>("left"), b.stream::<Text, Text>("right"));
    let shown = |value: Option<&Text>| value.cloned().flatten().unwrap_or_else(|| "-".to_owned());
    let windows = ten();
    left.join(&right, windows, move |l, r| shown(Some(l)) + &shown(Some(r))).to("inner");
    left.left_join(&right, windows, move |l, r| shown(Some(l)) + &shown(r)).to("left-out");
    left.outer_join(&right, windows, move |l, r| shown(l) + &shown(r)).to("outer");
    let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
    for (topic, key, value, dropped) in [
        ("left", None, Some("l"), 1),
        ("right", None, Some("r"), 2),
        ("left", Some("k"), None, 3),
        ("right", None, None, 3),
    ] {
        let before = driver.dropped_records();
        let input = driver.input::<Text, Text>(topic);
        driver.pipe(&input, key.map(str::to_owned), value.map(str::to_owned), 5).unwrap();
        assert_eq!(driver.dropped_records() - before, dropped, "{topic} {key:?} {value:?}");
    }
    let of = |topic| -> Vec<String> {
        let records = driver.output::<Text, String>(topic).read_all().unwrap();
        records.into_iter().map(|record| record.value).collect()
    };
    assert!(of("inner").is_empty());
    assert_eq!(
        (of("left-out"), of("outer")),
        (vec!["l-".to_owned()], vec!["l-".into(), "-r".into()])
    );
}

#[test]
fn a_null_key_goes_through_a_repartition_topic_to_a_left_join_and_not_to_an_inner_one() {
    let told = |is_inner: bool| {
        let b = StreamsBuilder::new();
        let left = b.stream::<String, String>("left").select_key(|_, _| None::<String>);
        let right = b.stream::<Text, String>("right");
        if is_inner {
            left.join(&right, ten(), |l, r| pair(Some(l), Some(r))).to("out");
        } else {
            left.left_join(&right, ten(), |l, r| pair(Some(l), r)).to("out");
        }
        let mut driver = TopologyTestDriver::builder(b.build().unwrap()).build().unwrap();
        pipe(&mut driver, "left", "a", 5);
        let came = driver.output::<Text, String>("out").read_all().unwrap();
        (came.len(), driver.dropped_records())
    };
    assert_eq!(told(false), (1, 0));
    assert_eq!(told(true), (0, 0), "it is left out, and not counted");
}

#[test]
fn a_record_that_is_too_late_to_be_kept_is_joined_with_what_is_there() {
    let mut driver = inner(ten());
    play(&mut driver, &["left a0", "right x0", "right far300000", "left b5", "right y6"]);
    // The store of the left stream is at 5; that of the right one has forgotten what was before 299,981.
    assert_eq!(told(&driver), ["a0+x0@0", "a0+y6@6", "b5+y6@6"]);
    assert_eq!(driver.dropped_records(), 1, "`y6` is not kept");
    play(&mut driver, &["left c7"]);
    assert_eq!(told(&driver).len(), 3);
}
