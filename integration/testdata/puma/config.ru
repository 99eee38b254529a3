# A small app as users run it on Puma: it names itself, echoes a body, and sends
# events, each when it is told to.
NAME = ENV.fetch("APP_NAME")
EVENTS = Queue.new

TEXT = { "Content-Type" => "text/plain" }.freeze

events = Enumerator.new do |stream|
  3.times { |i| stream << "data: #{i}\n\n"; EVENTS.pop }
end

run lambda { |env|
  case env["PATH_INFO"]
  when "/echo"
    [200, TEXT, [env["rack.input"].read]]
  when "/events"
    [200, { "Content-Type" => "text/event-stream", "Cache-Control" => "no-cache" }, events]
  when "/next"
    EVENTS << true
    [204, {}, []]
  else
    [200, TEXT, [NAME]]
  end
}
