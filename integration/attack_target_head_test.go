package integration

import (
	"fmt"
	"strings"
)

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"

// statusBetrayals are about the status line, and what comes in its place.
func statusBetrayals() []betrayal {
	rows := []betrayal{
		{name: "a status without a reason", section: "4", answer: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", outcome: "200", reused: true},
		{name: "a status with an empty reason", section: "4", answer: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", outcome: "200", reused: true},
		{name: "a reason that is not ASCII", section: "4", answer: "HTTP/1.1 200 \u00e9\xff\r\nContent-Length: 2\r\n\r\nok", outcome: "200", reused: true},
		{name: "a status of 999", section: "9110 15", answer: "HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok", outcome: "999", reused: true},
		{name: "a status of 599", section: "9110 15", answer: "HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\nok", outcome: "599", reused: true},
		{name: "HTTP/1.0 that is kept", section: "9.3", answer: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", outcome: "200", reused: true},
		{name: "HTTP/1.0 that says no more", section: "9.3", answer: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", outcome: "200"},
		{name: "an answer with close", section: "9.6", answer: fine + "Connection: close\r\n\r\nok", outcome: "200"},
		{name: "an answer with close in a list", section: "9.6", answer: fine + "Connection: x, Close\r\n\r\nok", outcome: "200"},
	}
	for _, c := range []struct{ section, name, line string }{
		{"4", "an empty line before", "\r\nHTTP/1.1 200 OK"},
		{"4", "a blank before", " HTTP/1.1 200 OK"},
		{"4", "a NUL before", "\x00HTTP/1.1 200 OK"},
		{"4", "a version alone", "HTTP/1.1"},
		{"4", "a version and a blank", "HTTP/1.1 "},
		{"4", "two blanks", "HTTP/1.1  200 OK"},
		{"4", "a tab for a blank", "HTTP/1.1\t200 OK"},
		{"4", "no blank before the status", "HTTP/1.1200 OK"},
		{"4", "no blank behind the status", "HTTP/1.1 200OK"},
		{"4", "a status of two digits", "HTTP/1.1 20 OK"},
		{"4", "a status of four digits", "HTTP/1.1 2000 OK"},
		{"4", "a status of one digit", "HTTP/1.1 2"},
		{"4", "a status with a letter", "HTTP/1.1 2xx OK"},
		{"4", "a status with a sign", "HTTP/1.1 -20 OK"},
		{"4", "a status with a plus", "HTTP/1.1 +20 OK"},
		{"4", "a hexadecimal status", "HTTP/1.1 0xC OK"},
		{"4", "a status of 0", "HTTP/1.1 000 OK"},
		{"4", "a status of 99", "HTTP/1.1 099 OK"},
		{"4", "a status in digits of another script", "HTTP/1.1 \u0662\u0660\u0660 OK"},
		{"4", "a reason with a NUL", "HTTP/1.1 200 O\x00K"},
		{"4", "a reason with a bare CR", "HTTP/1.1 200 OK\rSet-Cookie: a=b"},
		{"4", "a reason with an escape", "HTTP/1.1 200 \x1b[2J"},
		{"4", "two CR behind it", "HTTP/1.1 200 OK\r"},
		{"4", "a bare LF behind it", "HTTP/1.1 200 OK\nX: y"},
		{"4", "a fold behind it", "HTTP/1.1 200 OK\r\n X: y"},
		{"2.3", "a version in small letters", "http/1.1 200 OK"},
		{"2.3", "HTTP/2", "HTTP/2 200 OK"},
		{"2.3", "HTTP/2.0", "HTTP/2.0 200 OK"},
		{"2.3", "HTTP/0.9", "HTTP/0.9 200 OK"},
		{"2.3", "HTTP/1.2", "HTTP/1.2 200 OK"},
		{"2.3", "HTTP/1.10", "HTTP/1.10 200 OK"},
		{"2.3", "HTTP/1", "HTTP/1 200 OK"},
		{"2.3", "a radio", "ICY 200 OK"},
		{"2.3", "a teapot", "HTCPCP/1.0 418 I'm a teapot"},
		{"2.3", "no version", "200 OK"},
		{"4", "a request", "GET / HTTP/1.1\r\nHost: a"},
		{"4", "a page without a head", "<html><body>hello</body></html>"},
		{"4", "JSON", "{\"status\": 200}"},
		{"4", "an SSH server", "SSH-2.0-OpenSSH_9.2"},
		{"4", "a mail server", "220 mail.example ESMTP"},
		{"4", "a TLS alert", "\x15\x03\x01\x00\x02\x02\x16"},
		{"4", "an HTTP/2 server", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"},
		{"4", "a reason of 300 KiB", "HTTP/1.1 200 " + strings.Repeat("a", 300<<10)},
	} {
		rows = append(rows, betrayal{name: c.name, section: c.section, answer: c.line + "\r\nContent-Length: 6\r\n\r\nPOISON", outcome: "502"})
	}
	return rows
}

// headBetrayals are about the header fields, and what they say of the body.
func headBetrayals() []betrayal {
	rows := []betrayal{
		{name: "the same length twice", section: "6.3", answer: fine + "Content-Length: 2\r\n\r\nok", outcome: "200", reused: true},
		{name: "a length that Connection names", section: "9110 7.6.1", answer: fine + "Connection: Content-Length\r\n\r\nok", outcome: "200", reused: true},
		{name: "a chunked answer that Connection names", section: "9110 7.6.1", outcome: "200", reused: true,
			answer: "HTTP/1.1 200 OK\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		{name: "a field without a value", section: "5", answer: fine + "X:\r\n\r\nok", outcome: "200", reused: true},
		{name: "a field of 60 KiB", section: "5.4", answer: fine + "X: " + strings.Repeat("a", 60<<10) + "\r\n\r\nok", outcome: "200", reused: true},
		{name: "fields that frame a message otherwise", section: "9110 5.1", answer: fine + "Content_Length: 0\r\nX-Transfer-Encoding: chunked\r\n\r\nok", outcome: "200", reused: true},
	}
	add := func(section, name, fields string) {
		rows = append(rows, betrayal{name: name, section: section, answer: "HTTP/1.1 200 OK\r\n" + fields + "\r\n\r\nPOISON", outcome: "502"})
	}
	for _, c := range []struct{ section, name, fields string }{
		{"5.1", "a blank before a colon", "Content-Length: 6\r\nX : y"},
		{"5.1", "a blank before a length's colon", "Content-Length : 6"},
		{"5.1", "no colon", "Content-Length: 6\r\nX"},
		{"5.1", "no name", "Content-Length: 6\r\n: y"},
		{"5.1", "a name with a blank", "Content-Length: 6\r\nX Y: z"},
		{"5.1", "a name that is not ASCII", "Content-Length: 6\r\nX\u00e9: z"},
		{"5.2", "a fold", "Content-Length: 6\r\nX: y\r\n z"},
		{"5.2", "a fold at the start", " X: y\r\nContent-Length: 6"},
		{"2.2", "a bare LF", "Content-Length: 6\r\nX: y\nZ: 1"},
		{"2.2", "a bare CR", "Content-Length: 6\r\nX: y\rSet-Cookie: a=b"},
		{"2.2", "two LF in place of the empty line", "Content-Length: 6\r\nX: y\n\n"},
		{"5.4", "a field of 300 KiB", "Content-Length: 6\r\nX: " + strings.Repeat("a", 300<<10)},
		{"5.4", "a head of 300 KiB", "Content-Length: 6" + strings.Repeat("\r\nX: "+strings.Repeat("a", 300), 1000)},
		{"5.4", "five thousand fields", "Content-Length: 6" + strings.Repeat("\r\nX: y", 5000)},
		{"6.3", "CL beside TE", "Content-Length: 6\r\nTransfer-Encoding: chunked"},
		{"6.3", "TE beside CL", "Transfer-Encoding: chunked\r\nContent-Length: 6"},
		{"6.3", "two lengths", "Content-Length: 6\r\nContent-Length: 0"},
		{"6.3", "a list of lengths", "Content-Length: 6, 6"},
		{"9110 8.6", "a negative length", "Content-Length: -6"},
		{"9110 8.6", "a length with a plus", "Content-Length: +6"},
		{"9110 8.6", "a hexadecimal length", "Content-Length: 0x6"},
		{"9110 8.6", "an empty length", "Content-Length:"},
		{"9110 8.6", "a length that is a word", "Content-Length: six"},
		{"9110 8.6", "a length of 2^63", "Content-Length: 9223372036854775808"},
		{"9110 8.6", "a length of 2^64+6", "Content-Length: 18446744073709551622"},
		{"6.1", "gzip as a coding", "Transfer-Encoding: gzip"},
		{"6.1", "gzip and chunked", "Transfer-Encoding: gzip, chunked"},
		{"6.1", "identity", "Transfer-Encoding: identity"},
		{"6.1", "chunked twice", "Transfer-Encoding: chunked, chunked"},
		{"6.1", "chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"},
		{"6.1", "chunked with a letter too many", "Transfer-Encoding: xchunked"},
		{"6.1", "chunked with a vertical tab", "Transfer-Encoding: \vchunked"},
		{"6.1", "chunked with a parameter", "Transfer-Encoding: chunked;q=1"},
		{"6.1", "an empty coding", "Transfer-Encoding:"},
	} {
		add(c.section, c.name, c.fields)
	}
	rows = append(rows, betrayal{name: "chunked in HTTP/1.0", section: "6.1", outcome: "502",
		answer: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nPOISON\r\n0\r\n\r\n"})
	for c := range 0x20 {
		switch c {
		case '\t', '\r', '\n':
			continue
		}
		add("9110 5.5", fmt.Sprintf("%#02x in a value", c), fmt.Sprintf("Content-Length: 6\r\nX: a%cb", c))
	}
	add("9110 5.5", "0x7f in a value", "Content-Length: 6\r\nX: a\x7fb")
	return rows
}
