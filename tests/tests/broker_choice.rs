//! Which broker the engine's tests run on, by `ONCESTREAM_TEST_BROKER`.

use oncestream_tests::broker::{CHOICE, Kind};

#[test]
fn the_embedded_broker_is_chosen_unless_told_otherwise() {
    assert_eq!(Kind::choose(None), Ok(Kind::Embedded));
    assert_eq!(Kind::choose(Some("embedded")), Ok(Kind::Embedded));
    assert_eq!(Kind::choose(Some("apache")), Ok(Kind::Apache));
}

#[test]
fn any_other_choice_is_refused_with_what_may_be_chosen() {
    for wrong in ["", "Apache", "kafka", "embedded "] {
        let error = Kind::choose(Some(wrong)).expect_err("it was taken");
        for word in [CHOICE, &format!("`{wrong}`"), "`embedded`", "`apache`"] {
            assert!(error.contains(word), "`{word}` is missing in: {error}");
        }
    }
}
