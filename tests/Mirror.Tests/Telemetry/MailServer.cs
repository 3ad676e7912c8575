using System.Buffers;
using System.Collections.Concurrent;
using System.Net;
using System.Text;
using Mirror.Tests.Peers;
using SmtpServer;
using SmtpServer.Authentication;
using SmtpServer.ComponentModel;
using SmtpServer.Protocol;
using SmtpServer.Storage;

namespace Mirror.Tests.Telemetry;

/// <summary>A mail server in this process, with one login.</summary>
internal sealed class MailServer : IAsyncDisposable
{
    public const string User = "mirror";
    public const string Password = "hunter2";

    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<string> _mails = new();
    private readonly Task _serving;

    public MailServer()
    {
        var options = new SmtpServerOptionsBuilder().ServerName("mail.example")
            .Endpoint(endpoint => endpoint
                .Endpoint(new IPEndPoint(IPAddress.Loopback, Port)).AllowUnsecureAuthentication().AuthenticationRequired())
            .Build();
        var services = new ServiceProvider();
        services.Add(new Store(_mails));
        services.Add(new Users());
        _serving = new SmtpServer.SmtpServer(options, services).StartAsync(_stop.Token);
    }

    public int Port { get; } = Ports.Free();

    /// <summary>Each mail as it came, with its headers.</summary>
    public IReadOnlyList<string> Mails => [.. _mails];

    public Task UntilAsync(Predicate<string> isIt) =>
        Until.TrueAsync(() => _mails.Any(mail => isIt(mail)), () => $"No such mail:\n{string.Join("\n----\n", _mails)}");

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving;
        _stop.Dispose();
    }

    private sealed class Store(ConcurrentQueue<string> mails) : MessageStore
    {
        public override Task<SmtpResponse> SaveAsync(
            ISessionContext context, IMessageTransaction transaction, ReadOnlySequence<byte> buffer, CancellationToken cancellationToken)
        {
            mails.Enqueue(Encoding.UTF8.GetString(buffer));
            return Task.FromResult(SmtpResponse.Ok);
        }
    }

    private sealed class Users : UserAuthenticator
    {
        public override Task<bool> AuthenticateAsync(
            ISessionContext context, string user, string password, CancellationToken cancellationToken) =>
            Task.FromResult((user, password) == (User, Password));
    }
}
