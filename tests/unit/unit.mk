# One fragment a layer: its tests link that layer and those beneath it, and nothing else.
include tests/unit/base.mk
include tests/unit/reactor.mk
include tests/unit/disk.mk
include tests/unit/config.mk
include tests/unit/smtp.mk
include tests/unit/net.mk
include tests/unit/message.mk
include tests/unit/auth.mk
include tests/unit/delivery.mk
include tests/unit/host.mk
include tests/unit/handlers.mk
include tests/unit/worker.mk
include tests/unit/server.mk
include tests/unit/cli.mk
