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

    /// <param name="isGoing">What each mail waits for before it is taken; null: nothing.</param>
    public MailServer(Task? isGoing = null)
    {
        var options = new SmtpServerOptionsBuilder().ServerName("mail.example")
            .Endpoint(endpoint => endpoint
                .Endpoint(new IPEndPoint(IPAddress.Loopback, Port)).AllowUnsecureAuthentication().AuthenticationRequired())
            .Build();
        var services = new ServiceProvider();
        services.Add(new Store(_mails, isGoing ?? Task.CompletedTask));
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

    private sealed class Store(ConcurrentQueue<string> mails, Task isGoing) : MessageStore
    {
        public override async Task<SmtpResponse> SaveAsync(
            ISessionContext context, IMessageTransaction transaction, ReadOnlySequence<byte> buffer, CancellationToken cancellationToken)
        {
            var mail = Encoding.UTF8.GetString(buffer);
            await isGoing.WaitAsync(cancellationToken);
            mails.Enqueue(mail);
            return SmtpResponse.Ok;
        }
    }

    private sealed class Users : UserAuthenticator
    {
        public override Task<bool> AuthenticateAsync(
            ISessionContext context, string user, string password, CancellationToken cancellationToken) =>
            Task.FromResult((user, password) == (User, Password));
    }
}
