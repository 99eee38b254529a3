package integration

// protocolAttacks try to make the connection something else than HTTP/1.1, or to
// have one side believe so: Expect, Upgrade, CONNECT, HTTP/2's preface.
func protocolAttacks() []attempt {
	const webSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	const plain = "GET /{me} HTTP/1.1\r\nHost: {me}\r\n\r\n"
	rows := []attempt{
		// 100 Continue is not said where the body has come already.
		passed("9110 10.1.1", "100-continue with a body that comes at once", postOf("Expect: 100-continue\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		passed("9110 10.1.1", "100-continue in other letters", postOf("Expect: 100-CONTINUE\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		passed("9110 10.1.1", "100-continue with chunks", postOf("Expect: 100-continue\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
		passed("9110 10.1.1", "100-continue without a body", getOf("Expect: 100-continue"), "GET /"),
		passed("9110 10.1.1", "100-continue with a body of 0 bytes", postOf("Expect: 100-continue\r\nContent-Length: 0", ""), "POST /"),
		{name: "100-continue in HTTP/1.0", section: "9110 10.1.1", bytes: "POST / HTTP/1.0\r\nHost: {me}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
			answers: "200", reaches: "POST / [abc]"},
		passed("9110 10.1.1", "an expectation that nobody knows", postOf("Expect: y\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		passed("9110 10.1.1", "100-continue behind a word", postOf("Expect: y 100-continue\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		passed("9110 10.1.1", "100-continue with a letter too many", postOf("Expect: 100-continuex\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		passed("9110 10.1.1", "an empty expectation", postOf("Expect:\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		passed("9110 10.1.1", "100-continue in a list", postOf("Expect: y, 100-continue\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		passed("9110 10.1.1", "100-continue twice", postOf("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		{name: "100-continue with a body that is refused", section: "9110 10.1.1", bytes: postOf("Expect: 100-continue\r\nTransfer-Encoding: chunked", "x\r\n{hidden}"),
			answers: "400", reaches: "POST / …"},
		refused("400", "9110 10.1.1", "100-continue with two framings", postOf("Expect: 100-continue\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n{hidden}")),

		// No upgrade to HTTP/2 reaches a target, nor to what else carries requests.
		passed("9110 7.8", "h2c", getOf("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), "GET /"),
		passed("9110 7.8", "h2c that Connection does not name", getOf("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), "GET /"),
		passed("9110 7.8", "h2c in capitals", getOf("Connection: UPGRADE\r\nUpgrade: H2C"), "GET /"),
		passed("9110 7.8", "h2", getOf("Connection: Upgrade\r\nUpgrade: h2"), "GET /"),
		passed("9110 7.8", "h2c with a version", getOf("Connection: Upgrade\r\nUpgrade: h2c/1"), "GET /"),
		passed("9110 7.8", "HTTP/2.0", getOf("Connection: Upgrade\r\nUpgrade: HTTP/2.0"), "GET /"),
		passed("9110 7.8", "TLS/1.0", getOf("Connection: Upgrade\r\nUpgrade: TLS/1.0"), "GET /"),
		passed("9110 7.8", "h2c in a list", getOf("Connection: Upgrade\r\nUpgrade: h2c, HTTP/2.0 ,TLS/1.2"), "GET /"),
		passed("9110 7.8", "h2c in a second field", getOf("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c"), "GET /"),
		passed("9110 7.8", "an upgrade that is refused leaves HTTP/1.1", getOf(webSocket), "GET /"),
		{name: "requests behind an upgrade that is refused", section: "9110 7.8", bytes: getOf(webSocket) + plain, answers: "200 200", reaches: "GET /; GET /{me}", kept: true},
		{name: "requests behind an h2c upgrade", section: "9110 7.8", bytes: getOf("Connection: Upgrade\r\nUpgrade: h2c") + plain, answers: "200 200", reaches: "GET /; GET /{me}", kept: true},
		{name: "HTTP/2's preface behind an h2c upgrade", section: "9110 7.8", bytes: getOf("Connection: Upgrade\r\nUpgrade: h2c") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
			answers: "200 505", reaches: "GET /"},
		passed("9110 7.8", "an upgrade with a body", postOf(webSocket+"\r\nContent-Length: 3", "abc"), "POST / [abc]"),
		passed("9110 7.8", "an upgrade with chunks", postOf(webSocket+"\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"), "POST / [abc]"),
		passed("9110 7.8", "an upgrade that Connection does not name", getOf("Upgrade: websocket\r\nSec-WebSocket-Key: x"), "GET /"),
		passed("9110 7.8", "an upgrade to nothing", getOf("Connection: Upgrade\r\nUpgrade:"), "GET /"),
		passed("9110 7.8", "a Connection that names Upgrade, and none", getOf("Connection: Upgrade"), "GET /"),
		passed("9110 7.8", "a WebSocket of a wrong version", getOf("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: x"), "GET /"),
		passed("9110 7.8", "a WebSocket without a key", getOf("Connection: Upgrade\r\nUpgrade: websocket"), "GET /"),
		{name: "an upgrade in HTTP/1.0", section: "9110 7.8", bytes: "GET / HTTP/1.0\r\nHost: {me}\r\n" + webSocket + "\r\n\r\n", answers: "200", reaches: "GET /"},
		refused("400", "9110 7.8", "an upgrade with two framings", postOf(webSocket+"\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n{hidden}")),
		refused("400", "9110 7.8", "an upgrade with a line end", getOf("Connection: Upgrade\r\nUpgrade: websocket\rX: y")+"{hidden}"),

		// Tunnels to anywhere, and what is no request for a target.
		refused("501", "9110 9.3.6", "CONNECT", "CONNECT {me}:443 HTTP/1.1\r\nHost: {me}:443\r\n\r\n{hidden}"),
		refused("501", "9110 9.3.6", "CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: {me}\r\n\r\n{hidden}"),
		refused("501", "9110 9.3.6", "CONNECT to an absolute target", "CONNECT http://{me}/ HTTP/1.1\r\nHost: {me}\r\n\r\n{hidden}"),
		refused("501", "9110 9.3.6", "CONNECT without a port", "CONNECT {me} HTTP/1.1\r\nHost: {me}\r\n\r\n{hidden}"),
		refused("501", "9110 9.3.6", "CONNECT in HTTP/1.0", "CONNECT {me}:443 HTTP/1.0\r\nHost: {me}\r\n\r\n{hidden}"),
		refused("501", "9110 9.3.6", "CONNECT with a body", "CONNECT {me}:443 HTTP/1.1\r\nHost: {me}\r\nContent-Length: 3\r\n\r\nabc{hidden}"),
		refused("501", "9110 9.3.6", "CONNECT with two framings", "CONNECT {me}:443 HTTP/1.1\r\nHost: {me}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
		passed("9110 9.1", "CONNECT in small letters is no CONNECT", "connect / HTTP/1.1\r\nHost: {me}\r\n\r\n", "connect /"),
		passed("9110 9.3.8", "TRACE", "TRACE / HTTP/1.1\r\nHost: {me}\r\nMax-Forwards: 0\r\n\r\n", "TRACE /"),
		passed("9110 9.1", "PRI without a preface", "PRI / HTTP/1.1\r\nHost: {me}\r\n\r\n", "PRI /"),
		passed("9110 14", "a thousand ranges", "GET / HTTP/1.1\r\nHost: {me}\r\nRange: bytes=0-1"+repeated(",0-1", 1000)+"\r\n\r\n", "GET /"),
		refused("400", "9110 9.1", "PRI * in HTTP/1.1", "PRI * HTTP/1.1\r\nHost: {me}\r\n\r\n{hidden}"),
		refused("505", "9110 2.5", "HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
		refused("400", "2.2", "a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		refused("400", "2.2", "an SSH client", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
		refused("400", "2.2", "a mail client", "EHLO {me}\r\n\r\n"),
		refused("400", "2.2", "a JSON line", "{\"method\": \"eth_getWork\"}\n"),
		refused("400", "2.2", "PROXY protocol from nowhere", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"+plain),
		refused("400", "2.2", "PROXY protocol 2 from nowhere", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02"+plain),
		refused("400", "2.2", "a request to a database", "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00"),
	}
	return rows
}

func repeated(s string, n int) string {
	var all string
	for range n {
		all += s
	}
	return all
}
