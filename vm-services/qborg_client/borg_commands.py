"""What borgbak knows of borg's command lines, borg 1.2 to 1.4.5. Checked against borg's own parser.

Runs in clients, at each start of borgbak: plain values, since to read them as TOML would take as
long as Python's own start. A row of `commands` has, each only where it says something:

place     what the first word of a command is: "repository", or "archive" where it may be one
after     how many more words a command can have (repository) or must have (archive). With no
          more words than that the first of them is not the place: `mount MOUNTPOINT`
archives  how many of its first words are archives that are there: `latest` is one, TAB shows them
writes    it adds to the history, takes from it or changes the key: not for a copy of the qube
writing   options with which it does, where it does not by itself
waits     False: it takes no lock
ends      True: what follows its first word is another program's command line
values    options that take the next word; `groups` are lists of them
flags     options that take none, and are not short for one of those
"""

TYPE_CHECKING = False  # the name that type checkers know; `typing` would take too long
if TYPE_CHECKING:
    from typing import Any

ANY_NUMBER = 1000
_HELP = """
borgbak COMMAND [OPTIONS] [ARCHIVE] [...]: borg, with this qube's repository and key filled in.

  borgbak list                               the archives of this qube
  borgbak list ARCHIVE home/user/Documents   what is in one
  borgbak extract ARCHIVE home/user/letter   get that back, into the folder you are in
  borgbak extract latest home/user/letter    the same from the newest archive of its backups
  borgbak mount ARCHIVE ~/mnt                look around in one; `borgbak umount ~/mnt` ends it
  borgbak mount ~/mnt                        in all of them
  borgbak diff ARCHIVE latest                what changed since
  borgbak check                              is all of it whole?
  borgbak create NAME ~/Documents            one more archive; `qborg-run` makes the usual one

A path in an archive has no slash at its start. A name without a slash is an archive of this
repository; ::ARCHIVE, REPOSITORY::ARCHIVE and ssh:// go to borg as they are, and so does all
else: `borg help`, `borgbak COMMAND --help`. It waits up to 10 minutes for another borg that uses
the repository (--lock-wait SECONDS).
"""

TABLE: "dict[str, Any]" = {
    "latest": "latest",
    # Seconds for a lock, unless --lock-wait says otherwise; borg's own default is 1.
    "wait": "600",
    "waiting": "borgbak: {} is running; "
               "borg may wait for it, 10 minutes unless --lock-wait says otherwise",
    "help": _HELP,
    "common": {
        "flags": ["--debug"],
        "values": [
            "--debug-profile", "--debug-topic", "--lock-wait", "--remote-buffer", "--remote-path",
            "--remote-ratelimit", "--rsh", "--umask", "--upload-buffer", "--upload-ratelimit",
        ],
    },
    "groups": {
        "choice": ["-P", "--prefix", "-a", "--glob-archives"],
        "order": ["--sort-by", "--first", "--last"],
        "patterns": ["-e", "--exclude", "--exclude-from", "--pattern", "--patterns-from"],
        "making": [
            "-c", "--checkpoint-interval", "--chunker-params", "--comment", "-C", "--compression",
            "--filter", "--timestamp",
        ],
    },
    "commands": {
        "break-lock": {"place": "repository", "waits": False, "writes": True},
        "check": {
            "place": "archive",
            "archives": 1,
            "groups": ["choice", "order"],
            "values": ["--max-duration"],
            "writing": ["--repair"],
        },
        "compact": {"place": "repository", "values": ["--threshold"], "writes": True},
        "config": {"place": "repository", "after": 2},
        "create": {
            "place": "archive",
            "groups": ["patterns", "making"],
            "values": [
                "--exclude-if-present", "--files-cache", "--files-changed", "--paths-delimiter",
                "--stdin-group", "--stdin-mode", "--stdin-name", "--stdin-user",
            ],
            "writes": True,
        },
        "delete": {
            "place": "archive",
            "archives": ANY_NUMBER,
            "groups": ["choice", "order"],
            "values": ["-c", "--checkpoint-interval"],
            "writes": True,
        },
        "diff": {
            "place": "archive",
            "archives": 2,
            "groups": ["patterns"],
            "values": ["--sort-by"],
            "flags": ["--sort"],
        },
        "export-tar": {
            "place": "archive",
            "archives": 1,
            "groups": ["patterns"],
            "values": ["--strip-components", "--tar-filter"],
        },
        "extract": {
            "place": "archive",
            "archives": 1,
            "groups": ["patterns"],
            "values": ["--strip-components"],
        },
        "help": {},
        "import-tar": {
            "place": "archive",
            "groups": ["making"],
            "values": ["--tar-filter"],
            "writes": True,
        },
        "info": {"place": "archive", "archives": 1, "groups": ["choice", "order"]},
        "init": {
            "place": "repository",
            "values": ["-e", "--encryption", "--import-related-secrets", "--storage-quota"],
            "writes": True,
        },
        "list": {
            "place": "archive",
            "archives": 1,
            "groups": ["choice", "order", "patterns"],
            "values": ["--format"],
        },
        "mount": {
            "place": "archive",
            "after": 1,
            "archives": 1,
            "groups": ["choice", "order", "patterns"],
            "values": ["-o", "--strip-components"],
        },
        "prune": {
            "place": "repository",
            "groups": ["choice"],
            "values": [
                "-H", "--keep-hourly", "-d", "--keep-daily", "-w", "--keep-weekly", "-m",
                "--keep-monthly", "-y", "--keep-yearly", "--keep-13weekly", "--keep-3monthly",
                "--keep-last", "--keep-minutely", "--keep-secondly", "--keep-within", "-c",
                "--checkpoint-interval",
            ],
            "writes": True,
        },
        "recreate": {
            "place": "archive",
            "archives": 1,
            "groups": ["patterns", "making"],
            "values": ["--exclude-if-present", "--recompress", "--target"],
            "writes": True,
        },
        "rename": {"place": "archive", "archives": 1, "writes": True},
        "serve": {"values": ["--restrict-to-path", "--restrict-to-repository", "--storage-quota"]},
        "umount": {},
        "upgrade": {"place": "repository", "writes": True},
        "version": {"place": "repository", "waits": False},
        "with-lock": {"place": "repository", "after": 1, "ends": True},
        "benchmark crud": {"place": "repository", "after": 1, "writes": True},
        "key change-passphrase": {"place": "repository", "writes": True},
        "key export": {"place": "repository", "after": 1},
        "key export-related-secrets": {"place": "repository", "after": 1},
        "key import": {"place": "repository", "after": 1, "writes": True},
        "key migrate-to-repokey": {"place": "repository", "writes": True},
        "debug convert-profile": {},
        "debug delete-obj": {"place": "repository", "after": ANY_NUMBER, "writes": True},
        "debug dump-archive": {"place": "archive", "archives": 1},
        "debug dump-archive-items": {"place": "archive", "archives": 1},
        "debug dump-hints": {"place": "repository", "after": 1},
        "debug dump-manifest": {"place": "repository", "after": 1},
        "debug dump-repo-objs": {"place": "repository", "values": ["--segment", "--offset"]},
        "debug get-obj": {"place": "repository", "after": 2},
        "debug id-hash": {"place": "repository", "after": 1},
        "debug info": {},
        "debug put-obj": {"place": "repository", "after": ANY_NUMBER, "writes": True},
        "debug refcount-obj": {"place": "repository", "after": ANY_NUMBER},
        "debug search-repo-objs": {"place": "repository", "after": 1},
    },
}
