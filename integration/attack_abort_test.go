package integration

import "strings"

// pipelineAttacks are several requests at once, of which some are bad: answers
// come in order, and none for what follows a refusal.
func pipelineAttacks() []attempt {
	const good = "GET /{me} HTTP/1.1\r\nHost: {me}\r\n\r\n"
	bad := "GET / HTTP/1.1\r\nHost: {me}\r\nX : y\r\n\r\n"
	return []attempt{
		{name: "three at once", section: "9.3.2", bytes: good + postOf("Content-Length: 3", "abc") + good, answers: "200 200 200", reaches: "GET /{me}; POST / [abc]", kept: true},
		{name: "fifty at once", section: "9.3.2", bytes: strings.Repeat(good, 50), answers: strings.Repeat("200 ", 50), reaches: "GET /{me}", kept: true},
		{name: "an empty line between", section: "2.2", bytes: good + "\r\n" + good, answers: "200 200", reaches: "GET /{me}", kept: true},
		{name: "an empty line behind a body", section: "2.2", bytes: postOf("Content-Length: 3", "abc") + "\r\n" + good, answers: "200 200", reaches: "POST / [abc]; GET /{me}", kept: true},
		{name: "two chunked bodies", section: "9.3.2", bytes: chunks("3\r\nabc\r\n0\r\n\r\n") + chunks("0\r\n\r\n"), answers: "200 200", reaches: "POST / [abc]; POST /", kept: true},
		{name: "a good one behind a bad one", section: "9.3.2", bytes: bad + "{hidden}", answers: "400"},
		{name: "a bad one behind a good one", section: "9.3.2", bytes: good + bad + "{hidden}", answers: "200 400", reaches: "GET /{me}"},
		{name: "two framings behind a good one", section: "9.3.2", bytes: good + postOf("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n{hidden}"), answers: "200 400", reaches: "GET /{me}"},
		{name: "a good one behind close", section: "9.6", bytes: getOf("Connection: close") + "{hidden}", answers: "200", reaches: "GET /"},
		{name: "a good one behind HTTP/1.0", section: "9.3", bytes: "GET / HTTP/1.0\r\nHost: {me}\r\n\r\n{hidden}", answers: "200", reaches: "GET /"},
		{name: "a good one behind HTTP/1.0 that is kept", section: "9.3", bytes: "GET / HTTP/1.0\r\nHost: {me}\r\nConnection: keep-alive\r\n\r\n" + good, answers: "200 200", reaches: "GET /; GET /{me}", kept: true},
		{name: "a good one behind CONNECT", section: "9.3.2", bytes: "CONNECT {me}:1 HTTP/1.1\r\nHost: {me}\r\n\r\n{hidden}", answers: "501"},
		{name: "a good one behind a broken body", section: "9.3.2", bytes: chunks("x\r\n") + "{hidden}", answers: "400"},
		{name: "garbage behind a good one", section: "9.3.2", bytes: good + "\x00\x01\x02", answers: "200 400", reaches: "GET /{me}"},
		{name: "a NUL behind a body", section: "6.3", bytes: postOf("Content-Length: 3", "abc") + "\x00" + good, answers: "200 400", reaches: "POST / [abc]"},
		{name: "two empty lines behind a body", section: "2.2", bytes: postOf("Content-Length: 3", "abc") + "\r\n\r\n\r\n{hidden}", answers: "200 400", reaches: "POST / [abc]"},
		{name: "a fold behind a request", section: "5.2", bytes: good + " X: y\r\n\r\n{hidden}", answers: "200 400", reaches: "GET /{me}"},
	}
}

// abortAttacks are clients that go, or have gone, in the middle: no target may
// take what it got of a body for all of it.
func abortAttacks() []attempt {
	half := strings.Repeat("a", 100<<10)
	var rows []attempt
	for _, c := range []struct{ section, name, bytes, reaches string }{
		{"9.5", "nothing", "", ""},
		{"8", "within the method", "GE", ""},
		{"8", "within the target", "GET /{me}", ""},
		{"8", "within the version", "GET /{me} HTTP/1", ""},
		{"8", "behind the request line", "GET /{me} HTTP/1.1\r\n", ""},
		{"8", "between CR and LF", "GET /{me} HTTP/1.1\r", ""},
		{"8", "within a field's name", "GET / HTTP/1.1\r\nHost: {me}\r\nX-For", ""},
		{"8", "within a length", "POST / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 1", ""},
		{"8", "behind the fields", "POST / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 3\r\n", ""},
		{"8", "within the empty line", "POST / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 3\r\n\r", ""},
		{"8", "behind the head", postOf("Content-Length: 3", ""), "POST / …"},
		{"8", "behind a byte of the body", postOf("Content-Length: 3", "a"), "POST / …"},
		{"8", "a byte before the body's end", postOf("Content-Length: 3", "ab"), "POST / …"},
		{"8", "within a large body", postOf("Content-Length: 200000", half), "POST / …"},
		{"8", "a byte before a large body's end", postOf("Content-Length: 102401", half), "POST / …"},
		{"8", "behind a chunked head", chunks(""), "POST / …"},
		{"8", "within a chunk's size", chunks("3"), "POST / …"},
		{"8", "between a size's CR and LF", chunks("3\r"), "POST / …"},
		{"8", "behind a chunk's size", chunks("3\r\n"), "POST / …"},
		{"8", "within a chunk", chunks("3\r\na"), "POST / …"},
		{"8", "behind a chunk's data", chunks("3\r\nabc"), "POST / …"},
		{"8", "behind a chunk", chunks("3\r\nabc\r\n"), "POST / …"},
		{"8", "within the last chunk", chunks("3\r\nabc\r\n0"), "POST / …"},
		{"8", "behind the last chunk", chunks("3\r\nabc\r\n0\r\n"), "POST / …"},
		{"8", "within a trailer", chunks("3\r\nabc\r\n0\r\nX: y"), "POST / …"},
		{"8", "behind a trailer", chunks("3\r\nabc\r\n0\r\nX: y\r\n"), "POST / …"},
		{"8", "within the end of a trailer", chunks("3\r\nabc\r\n0\r\nX: y\r\n\r"), "POST / …"},
		{"8", "within a large chunk", chunks("30000\r\n" + half), "POST / …"},
		{"8", "within a large body that waits for 100", postOf("Expect: 100-continue\r\nContent-Length: 200000", half), "POST / …"},
		{"8", "within a GET's body", getOf("Content-Length: 3") + "ab", "GET / …"},
		{"8", "within a PUT's body", "PUT / HTTP/1.1\r\nHost: {me}\r\nContent-Length: 3\r\n\r\nab", "PUT / …"},
		{"8", "within HTTP/1.0's body", "POST / HTTP/1.0\r\nHost: {me}\r\nContent-Length: 3\r\n\r\nab", "POST / …"},
		{"8", "in the second of two", "GET /{me} HTTP/1.1\r\nHost: {me}\r\n\r\n" + postOf("Content-Length: 3", "ab"), "GET /{me}; POST / …"},
	} {
		for how, then := range map[string]ending{" (shut down)": closes, " (reset)": resets, " (closed)": vanishes} {
			a := attempt{name: "the client goes " + c.name + how, section: c.section, bytes: c.bytes, reaches: c.reaches, then: then}
			if strings.HasPrefix(a.reaches, "GET /{me};") {
				if then != closes { // the first may be read, or not
					continue
				}
				a.answers = "200"
			}
			if strings.Contains(c.bytes, "Expect") && then == closes { // 100 may be said, or not
				continue
			}
			rows = append(rows, a)
		}
	}
	return rows
}
