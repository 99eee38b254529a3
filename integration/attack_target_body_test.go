package integration

import "strings"

const inChunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

// bodyBetrayals are about bodies: chunks, ends that come too early, bytes that
// come too late, and bodies where there must not be one.
func bodyBetrayals() []betrayal {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
	rows := []betrayal{
		{name: "chunks", section: "7.1", answer: inChunks + "2;x=y\r\nok\r\n0\r\nX-T: 1\r\n\r\n", outcome: "200", reused: true},
		{name: "a trailer that frames", section: "9110 6.5.1", answer: inChunks + "2\r\nok\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", outcome: "200", reused: true},
		{name: "a body up to the end", section: "6.3", answer: "HTTP/1.1 200 OK\r\n\r\nok", after: ends, outcome: "200"},
		{name: "an empty body up to the end", section: "6.3", answer: "HTTP/1.1 200 OK\r\n\r\n", after: ends, outcome: "200"},
		{name: "a body up to a reset", section: "8", answer: "HTTP/1.1 200 OK\r\n\r\nok{wait}", after: breaks, outcome: "cut 502"},
		{name: "a large body up to a reset", section: "8", answer: "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", 300<<10) + "{wait}", after: breaks, outcome: "cut 502"},
		{name: "a body that trickles", section: "6.3", answer: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na{wait}b{wait}c{wait}d", outcome: "200", reused: true},
		{name: "chunks that trickle", section: "7.1", answer: inChunks + "2{wait}\r{wait}\no{wait}k\r{wait}\n0\r\n{wait}\r{wait}\n", outcome: "200", reused: true},

		{name: "a second answer", section: "9.2", answer: fine + "\r\nok" + poison, outcome: "200"},
		{name: "a second answer behind an empty one", section: "9.2", answer: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + poison, outcome: "200"},
		{name: "a second answer behind chunks", section: "9.2", answer: inChunks + "2\r\nok\r\n0\r\n\r\n" + poison, outcome: "200"},
		{name: "a second answer behind a large body", section: "9.2", answer: "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("a", 300000) + poison, outcome: "200"},
		{name: "one byte too many", section: "6.3", answer: fine + "\r\nok!", outcome: "200"},
		{name: "an empty line too many", section: "6.3", answer: fine + "\r\nok\r\n", outcome: "200"},
		{name: "a NUL too many", section: "6.3", answer: fine + "\r\nok\x00", outcome: "200"},
		{name: "half an answer too many", section: "9.2", answer: fine + "\r\nokHTTP/1.1 200 OK\r\nContent-", outcome: "200"},
		{name: "an interim answer too many", section: "9.2", answer: fine + "\r\nokHTTP/1.1 100 Continue\r\n\r\n", outcome: "200"},

		{name: "204 with a length", section: "9110 15.3.5", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nPOISON", outcome: "204"},
		{name: "204 with a length and no body", section: "9110 15.3.5", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n", outcome: "204"},
		{name: "204 in chunks", section: "9110 15.3.5", answer: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nPOISON\r\n0\r\n\r\n", outcome: "204"},
		{name: "204 with bytes behind", section: "9110 15.3.5", answer: "HTTP/1.1 204 No Content\r\n\r\n" + poison, outcome: "204"},
		{name: "304 with a length", section: "9110 15.4.5", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n", outcome: "304", reused: true},
		{name: "304 with a body", section: "9110 15.4.5", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nPOISON", outcome: "304"},
		{name: "304 with an answer as its body", section: "9110 15.4.5", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n" + poison, outcome: "304"},
		{name: "304 in chunks", section: "9110 15.4.5", answer: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nPOISON\r\n0\r\n\r\n", outcome: "304"},
		{name: "205 with a body", section: "9110 15.3.6", answer: "HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok", outcome: "205", reused: true},
		{name: "HEAD with a length", section: "9110 9.3.2", method: "HEAD", answer: fine + "\r\n", outcome: "200", reused: true},
		{name: "HEAD with the same length twice", section: "9110 9.3.2", method: "HEAD", answer: fine + "Content-Length: 2\r\n\r\n", outcome: "200", reused: true},
		{name: "HEAD with a body", section: "9110 9.3.2", method: "HEAD", answer: fine + "\r\nok", outcome: "200"},
		{name: "HEAD with an answer as its body", section: "9110 9.3.2", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n" + poison, outcome: "200"},
		{name: "HEAD with chunks", section: "9110 9.3.2", method: "HEAD", answer: inChunks + "2\r\nok\r\n0\r\n\r\n", outcome: "200"},
		{name: "HEAD with two framings", section: "6.3", method: "HEAD", answer: fine + "Transfer-Encoding: chunked\r\n\r\n", outcome: "502"},
		{name: "HEAD with a bad length", section: "9110 8.6", method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", outcome: "502"},
		{name: "304 with two lengths", section: "9110 8.6", answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", outcome: "502"},
	}
	for _, c := range []struct{ name, chunks string }{
		{"no size", "\r\nok\r\n0\r\n\r\n"},
		{"a size that is no number", "2\r\nok\r\nx\r\n"},
		{"a size with a sign", "2\r\nok\r\n-2\r\nok\r\n0\r\n\r\n"},
		{"0x", "2\r\nok\r\n0x2\r\nok\r\n0\r\n\r\n"},
		{"a blank before a size", "2\r\nok\r\n 2\r\nok\r\n0\r\n\r\n"},
		{"a blank behind a size", "2 \r\nok\r\n0\r\n\r\n"},
		{"a size of 2^64+2", "10000000000000002\r\nok\r\n0\r\n\r\n"},
		{"a size of 2^63", "8000000000000000\r\nok\r\n0\r\n\r\n"},
		{"a size before a bare LF", "2\nok\r\n0\r\n\r\n"},
		{"data before a bare LF", "2\r\nok\n0\r\n\r\n"},
		{"more data than the size says", "2\r\nokPOISON\r\n0\r\n\r\n"},
		{"less data than the size says", "5\r\nok\r\n0\r\n\r\n"},
		{"a control in an extension", "2;\x00\r\nok\r\n0\r\n\r\n"},
		{"an extension that does not end", "2;" + strings.Repeat("a", 100<<10)},
		{"a last chunk before a bare LF", "2\r\nok\r\n0\n\r\n"},
		{"a trailer without a colon", "2\r\nok\r\n0\r\nX\r\n\r\n"},
		{"a trailer with a fold", "2\r\nok\r\n0\r\nX: y\r\n z\r\n\r\n"},
		{"a trailer with a bare LF", "2\r\nok\r\n0\r\nX: y\n\r\n"},
		{"a trailer with a control", "2\r\nok\r\n0\r\nX: \x01\r\n\r\n"},
		{"a trailer of 600 KiB", "2\r\nok\r\n0\r\n" + strings.Repeat("X: "+strings.Repeat("a", 1000)+"\r\n", 600) + "\r\n"},
		{"a trailer of 9,000 fields", "2\r\nok\r\n0\r\n" + strings.Repeat("X: y\r\n", 9000) + "\r\n"},
		{"an answer in place of a chunk", "2\r\nok\r\n" + poison},
	} {
		rows = append(rows, betrayal{name: c.name, section: "7.1", answer: inChunks + c.chunks, outcome: "cut 502"})
	}
	return rows
}

// phaseBetrayals are targets that go, stop or hurry at each point of an answer.
func phaseBetrayals() []betrayal {
	const upload = 1 << 20
	flood := func(n int) string { return strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", n) }
	rows := []betrayal{
		{name: "nothing in time", section: "9110 15.6.5", after: hangs, outcome: "504"},
		{name: "half a head in time", section: "9110 15.6.5", answer: "HTTP/1.1 200 OK\r\nContent-", after: hangs, outcome: "504"},
		{name: "a head that trickles", section: "9110 15.6.5", answer: strings.Join(strings.Split("HTTP/1.1 200 OK\r\nContent-Length: 2"+strings.Repeat(" ", 200), ""), "{wait}"), after: hangs, outcome: "504"},
		{name: "an interim answer alone in time", section: "9110 15.2", answer: flood(1), after: hangs, outcome: "504"},

		{name: "100 that nobody waits for", section: "9110 15.2.1", answer: "HTTP/1.1 100 Continue\r\n\r\n" + fine + "\r\nok", outcome: "200", reused: true},
		{name: "102", section: "9110 15.2", answer: "HTTP/1.1 102 Processing\r\n\r\n" + fine + "\r\nok", outcome: "200", reused: true},
		{name: "an interim status that nobody knows", section: "9110 15.2", answer: "HTTP/1.1 199 Odd\r\n\r\n" + fine + "\r\nok", outcome: "200", reused: true},
		{name: "twenty interim answers", section: "9110 15.2", answer: flood(20) + fine + "\r\nok", outcome: "200", reused: true},
		{name: "a thousand interim answers", section: "9110 15.2", answer: flood(1000) + fine + "\r\nok", outcome: "502"},
		{name: "interim answers without an end", section: "9110 15.2", answer: flood(100_000), outcome: "502"},
		{name: "an interim answer with a length", section: "6.3", answer: "HTTP/1.1 103 Early Hints\r\nContent-Length: 6\r\n\r\nPOISON" + fine + "\r\nok", outcome: "502"},
		{name: "an interim answer with two framings", section: "6.3", answer: "HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + fine + "\r\nok", outcome: "502"},
		{name: "an interim answer with a fold", section: "5.2", answer: "HTTP/1.1 103 Early Hints\r\nX: y\r\n z\r\n\r\n" + fine + "\r\nok", outcome: "502"},
		{name: "a bad status behind an interim answer", section: "4", answer: flood(1) + "HTTP/1.1 20 OK\r\n\r\n", outcome: "502"},
		{name: "101 unasked", section: "9110 15.2.2", answer: "HTTP/1.1 101 Switching Protocols\r\n\r\nPOISON", outcome: "502"},
		{name: "101 to a WebSocket unasked", section: "9110 15.2.2", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nPOISON", outcome: "502"},
		{name: "101 to h2c unasked", section: "9110 15.2.2", answer: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", outcome: "502"},
		{name: "101 behind an interim answer", section: "9110 15.2.2", answer: flood(1) + "HTTP/1.1 101 Switching Protocols\r\n\r\n" + fine + "\r\nok", outcome: "502"},

		{name: "an answer before the body, kept", section: "9.3", method: "POST", body: upload, answer: fine + "\r\nok", after: hangs, outcome: "200"},
		{name: "an answer before the body, closed", section: "9.6", method: "POST", body: upload, answer: "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", after: ends, outcome: "413"},
		{name: "an answer before the body, reset", section: "9.6", method: "POST", body: upload, answer: fine + "\r\nok", after: breaks, outcome: "200 502 cut"},
		{name: "chunks before the body", section: "9.3", method: "POST", body: upload, answer: inChunks + "2\r\nok\r\n0\r\n\r\n", after: hangs, outcome: "200"},
		{name: "a broken answer before the body", section: "9.3", method: "POST", body: upload, answer: inChunks + "2\r\nokPOISON\r\n0\r\n\r\n", after: hangs, outcome: "cut 502"},
		{name: "a reset in place of reading the body", section: "8", method: "POST", body: upload, after: breaks, outcome: "502"},
		{name: "an end in place of reading the body", section: "8", method: "POST", body: upload, after: ends, outcome: "502"},
		{name: "a POST that is answered by an end", section: "8", method: "POST", body: 3, readsBody: true, after: ends, outcome: "502"},
		{name: "a POST that is answered by a reset", section: "8", method: "POST", body: 3, readsBody: true, after: breaks, outcome: "502"},
	}
	for _, c := range []struct{ name, answer, outcome string }{
		{"before the head", "", "502"},
		{"within the version", "HTT", "502"},
		{"within the status", "HTTP/1.1 2", "502"},
		{"behind the status line", "HTTP/1.1 200 OK\r\n", "502"},
		{"within a field", "HTTP/1.1 200 OK\r\nContent-Le", "502"},
		{"within the length", "HTTP/1.1 200 OK\r\nContent-Length: 1", "502"},
		{"within the empty line", fine + "\r", "502"},
		{"behind an interim head", "HTTP/1.1 103 Early Hints\r\n\r\n", "502"},
		{"behind the head", fine + "\r\n", "cut 502"},
		{"within the body", fine + "\r\no", "cut 502"},
		{"within a large body", "HTTP/1.1 200 OK\r\nContent-Length: 300001\r\n\r\n" + strings.Repeat("a", 300000), "cut 502"},
		{"behind a chunked head", inChunks, "cut 502"},
		{"within a size", inChunks + "2", "cut 502"},
		{"behind a size", inChunks + "2\r\n", "cut 502"},
		{"within a chunk", inChunks + "2\r\no", "cut 502"},
		{"behind a chunk's data", inChunks + "2\r\nok", "cut 502"},
		{"between two chunks", inChunks + "2\r\nok\r\n", "cut 502"},
		{"within the last chunk", inChunks + "2\r\nok\r\n0", "cut 502"},
		{"behind the last chunk", inChunks + "2\r\nok\r\n0\r\n", "cut 502"},
		{"within a trailer", inChunks + "2\r\nok\r\n0\r\nX: y", "cut 502"},
		{"behind a trailer", inChunks + "2\r\nok\r\n0\r\nX: y\r\n", "cut 502"},
		{"within a large chunk", inChunks + "50000\r\n" + strings.Repeat("a", 300000), "cut 502"},
	} {
		rows = append(rows,
			betrayal{name: "an end " + c.name, section: "8", answer: c.answer, after: ends, outcome: c.outcome},
			betrayal{name: "a reset " + c.name, section: "8", answer: c.answer + "{wait}", after: breaks, outcome: c.outcome})
	}
	return rows
}
