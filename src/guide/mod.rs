//! The guide: what does not fit on the two screens of `README.md`. Each module below is a page.
//!
//! | page | what is in it |
//! |---|---|
//! | [`protocol`], [`protokol`] | the `text` dialect, completely: enough to write a server or a client |
//! | [`dialects`] | the other four dialects, byte by byte, with a Python client for each |
//! | [`programs`] | every flag, the prompt, exit status, Tab completion |
//! | [`lecture`] | traces, pictures, captures for Wireshark, a simulated bad network, the comparison |
//! | [`lessons`](super::lab::lecture::lessons), [`pelajaran`] | 27 exercises, in English and in Indonesian |
//! | [`lecture_plan`], [`rencana`] | a lecture and a lab of 90 minutes: what to show when, what to prepare, what to hand out; a second lecture on TCP itself |
//! | [`questions`](super::lab::lecture::questions), [`pertanyaan`] | multiple-choice questions, with the reason for each answer |
//! | [`architectures`], [`arsitektur`] | one server in five shapes: who waits, what each costs, measured |
//! | [`write_your_own`] | from the starter server to full points of `grade`, in steps |
//! | [`assignment`] | the Python starter and our `text` dialect, function by function, with what each difference prevents |
//! | [`promises`] | what holds, under which conditions, and the limits |
//! | [`speed`] | the tables, how to read them, where the time goes |
//! | [`platforms`] | Windows, macOS and others: what is tested where, and what differs |
//! | [`growth`] | what one machine holds; several servers on one folder behind a balancer |
//!
//! The pages are Markdown files beside this one, and a code host shows them too. Links in them use
//! labels, which each page defines at its end for the code host. Here the same labels are defined before
//! the page: in Markdown the first definition of a label counts. The starters in Python are beside this book
//! where `make dist` has packed it.

macro_rules! page {
    ($name:ident, $file:literal $(, $labels:literal)?) => {
        #[doc = "[architectures]: self::architectures"]
        #[doc = "[arsitektur]: self::arsitektur"]
        #[doc = "[assignment]: self::assignment"]
        #[doc = "[client.py]: ../../../../starter/client.py"]
        #[doc = "[cut downloads]: self::programs#downloads-that-are-cut"]
        #[doc = "[dialects]: self::dialects"]
        #[doc = "[growth]: self::growth"]
        #[doc = "[lecture]: self::lecture"]
        #[doc = "[lecture_plan]: self::lecture_plan"]
        #[doc = "[lessons]: super::lab::lecture::lessons"]
        #[doc = "[lib.rs]: crate"]
        #[doc = "[limits.rs]: super::limits"]
        #[doc = "[many files]: self::programs#many-files"]
        #[doc = "[mod.rs]: super::lab::starter"]
        #[doc = "[pelajaran]: self::pelajaran"]
        #[doc = "[pertanyaan]: self::pertanyaan"]
        #[doc = "[platforms]: self::platforms"]
        #[doc = "[programs]: self::programs"]
        #[doc = "[promises]: self::promises"]
        #[doc = "[protocol]: self::protocol"]
        #[doc = "[protokol]: self::protokol"]
        #[doc = "[questions]: super::lab::lecture::questions"]
        #[doc = "[rencana]: self::rencana"]
        #[doc = "[server.py]: ../../../../starter/server.py"]
        #[doc = "[shapes]: super::lab::architectures"]
        #[doc = "[speed]: self::speed"]
        #[doc = "[starter]: self::write_your_own"]
        #[doc = "[text.rs]: super::dialect::text"]
        #[doc = "[write_your_own]: self::write_your_own"]
        $(#[doc = include_str!($labels)])?
        #[doc = ""]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

page!(protocol, "protocol.md");
page!(protokol, "protokol.md");
page!(dialects, "dialects.md");
page!(programs, "programs.md");
page!(lecture, "lecture.md", "pictures.txt");
page!(lecture_plan, "lecture_plan.md");
page!(rencana, "rencana.md");
page!(pertanyaan, "../lab/lecture/questions/indonesian.md");
page!(pelajaran, "../lab/lecture/lessons/indonesian.md");
page!(architectures, "architectures.md");
page!(arsitektur, "arsitektur.md");
page!(write_your_own, "write_your_own.md");
page!(assignment, "assignment.md");
page!(promises, "promises.md");
page!(speed, "speed.md");
page!(growth, "growth.md");
page!(platforms, "platforms.md");
