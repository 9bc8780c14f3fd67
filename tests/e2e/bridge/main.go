// Command testbridge is a bridge like mautrix's (bridgev2, mxmain) to a network in its memory. The
// tests play the owners of that network's phones through its control port: see README.md.
package main

import (
	"fmt"
	"os"

	flag "maunium.net/go/mauflag"
	"maunium.net/go/mautrix/bridgev2/matrix/mxmain"

	"testbridge/connector"
	"testbridge/control"
	"testbridge/phonenet"
)

// Information to find out exactly which commit the bridge was built from.
// These are filled at build time with the -X linker flag.
var (
	Tag       = "unknown"
	Commit    = "unknown"
	BuildTime = "unknown"
)

// mxmain parses the command line, and these with it.
var (
	controlAddress = flag.Make().LongKey("control").Default(os.Getenv("TESTBRIDGE_CONTROL")).
			Usage("The address of the control port, as host:port. None is opened without it. TESTBRIDGE_CONTROL says the same.").String()
	journalPath = flag.Make().LongKey("journal").Default(os.Getenv("TESTBRIDGE_JOURNAL")).
			Usage("A file that lets the network survive restarts of the bridge. TESTBRIDGE_JOURNAL says the same.").String()
)

func main() {
	network := &connector.TestnetConnector{}
	m := mxmain.BridgeMain{
		Name:        "testbridge",
		URL:         "https://testnet.example",
		Description: "A bridge to a network in memory, for tests.",
		Version:     "0.1.0",
		Connector:   network,

		AdditionalLongFlags: " [--control <host:port>] [--journal <path>]",
	}
	m.InitVersion(Tag, Commit, BuildTime)
	// The network starts first: the control port answers while the bridge waits for its homeserver.
	m.PostInit = func() {
		phones, err := phonenet.Open(*journalPath)
		exitOn(err, "open the network")
		network.Network = phones
		m.Matrix.AS.Middleware = append(m.Matrix.AS.Middleware, connector.RenameNovelStep)
		if *controlAddress != "" {
			address, err := control.Serve(*controlAddress, phones)
			exitOn(err, "open the control port")
			m.Log.Info().Stringer("address", address).Msg("Control port listening")
		}
	}
	m.Run()
}

func exitOn(err error, action string) {
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "Failed to %s: %v\n", action, err)
		os.Exit(19)
	}
}
