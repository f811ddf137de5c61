#!/usr/bin/python3
"""smtp-source with several sessions, the relay, smtp-sink: all arrive, nothing is left behind."""
# limit: 200
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from peers import Sink
from relaytest import run, run_program, wait_for

LOADS = [  # messages, sessions, bytes, further options
    (600, 10, 5120, ["-d"]),
    (300, 20, 1000, []),
    (60, 6, 200000, ["-d"]),
    (4, 2, 3000000, ["-d"]),
    (200, 5, 2000, ["-d", "-r", "5"]),
]


def main(test):
    sink_port = test.port()
    sink = test.ends(Sink("127.0.0.1", sink_port))
    relay = test.relay(routes=[f":127.0.0.1:{sink_port}"])
    wanted = 0
    for messages, sessions, size, options in LOADS:
        run_program("smtp-source", "-s", sessions, "-m", messages, "-l", size, "-f", "s@source.test",
                    "-t", "r@sink.test", *options, f"127.0.0.1:{relay.port}", timeout=120)
        wanted += messages
        wait_for(lambda: sink.messages >= wanted, f"{wanted} messages at the sink", 60)
        test.check(True, f"{messages} messages of {size} bytes in {sessions} sessions {' '.join(options)}")
    relay.wait_empty()
    test.equal(sink.messages, wanted, "none came twice")
    stat = relay.stat()
    test.equal((stat["messages"], stat["recipients"], stat["active"], stat["waiting"]), (0, 0, 0, 0),
               "relay-ctl stat has nothing")
    test.equal(relay.listed(), [], "relay-ctl list has nothing")
    test.equal(stat["delivered"], sum(m * (5 if "-r" in o else 1) for m, _, _, o in LOADS),
               "relay-ctl stat counts what was delivered")
    test.check(sink.sessions < wanted / 5, "connections to the MX were used again",
               f"{sink.sessions} sessions for {wanted} messages")
    relay.down()
    relay.up()
    test.equal(relay.stat()["messages"], 0, "nothing comes back at a restart")
    relay.down()
    test.equal(relay.queue_list().strip(), "", "nothing is left in queue/")
    big = list((relay.directory / "queue/big").iterdir()) if (relay.directory / "queue/big").exists() else []
    test.equal(big, [], "no big file is left")


run(main, tools=["smtp-source", "smtp-sink"])
