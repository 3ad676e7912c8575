using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mirror.Storage;
using Mirror.Tests.Access;
using Mirror.Tests.Images;
using Mirror.Tests.Peers;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary>
/// A server with few files and little memory, with lawful pulls and pushes from the address of an attacker and from another one. The lawful
/// clients may have to ask again, as real clients do, and come through. The attackers are a process of their own, which runs the same test
/// up to the attack: in the process of the lawful clients they would take these the threads, and their times would not be the server's.
/// </summary>
public abstract class BesideAttack : IAsyncDisposable
{
    private const int MaxAttempts = 40;

    // In the process of the attackers: the port of the server, the name of the attack, because a theory has several, and the file that they
    // make and that exists for as long as they attack.
    private const string AttackedPort = "MIRROR_ATTACKED_PORT", AttackName = "MIRROR_ATTACK_NAME", AttackFile = "MIRROR_ATTACK_FILE";

    // Without an attack, to compare.
    private static readonly TimeSpan QuietLength = TimeSpan.FromSeconds(Figures.Count(0, 15));

    private readonly TempFolder _folder = new();
    // Each client pulls a layer of its own: it would notice the answer of another one.
    private readonly byte[][] _layers = [.. Enumerable.Range(0, Figures.Count(4, 20)).Select(Layer)];
    private readonly CancellationTokenSource _over = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
    private PeerProcess _server = null!;
    private string _scheme = "http";
    private AuthenticationHeaderValue? _login;

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>The port of the server.</summary>
    protected int Port { get; } = Attacks
        ? int.Parse(Environment.GetEnvironmentVariable(AttackedPort)!, CultureInfo.InvariantCulture) : Ports.Free();

    /// <summary>Whether this is the process of the attackers.</summary>
    protected static bool Attacks { get; } = Environment.GetEnvironmentVariable(AttackedPort) is not null;

    /// <summary>When the attack is over.</summary>
    protected CancellationToken Over => _over.Token;

    protected string Root => _folder.Folder("root");

    /// <summary>How long an attack lasts.</summary>
    protected virtual TimeSpan Length => Figures.Full ? TimeSpan.FromMinutes(Figures.Minutes(5)) : TimeSpan.FromSeconds(4);

    protected string LayerPath => PathOf(_layers[0]);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await _over.CancelAsync();
        if (_server is not null)
            await _server.DisposeAsync();
        _over.Dispose();
        _folder.Dispose();
    }

    /// <summary>Attacks with so many at once, each again and again, while lawful clients pull and push.</summary>
    protected async Task BesideLawfulWorkAsync(string name, int attackers, Func<HttpClient, int, Task> attack)
    {
        if (Attacks)
        {
            if (name == Environment.GetEnvironmentVariable(AttackName))
                await AttackAsync(attackers, attack);
            return;
        }
        using (var lawful = Client(IPAddress.Loopback))
            foreach (var layer in _layers)
                await PushAsync(lawful, "local/app", layer);
        var quiet = await WorkAsync(QuietLength);
        var file = _folder["attack"];
        await using var others = PeerProcess.Start(
            // All cases of a theory: the name tells them apart.
            "dotnet", [GetType().Assembly.Location, "-method", $"{GetType().FullName}.{TestContext.Current.TestMethod!.MethodName}"],
            new Dictionary<string, string>
            {
                [AttackedPort] = Port.ToString(CultureInfo.InvariantCulture),
                [AttackName] = name,
                [AttackFile] = file,
            });
        await others.UntilAsync(() => Task.FromResult(File.Exists(file)));
        var (cpu, started) = (CpuTime(), TimeProvider.System.GetTimestamp());
        var work = await WorkAsync(Length);
        var share = (CpuTime() - cpu) / TimeProvider.System.GetElapsedTime(started);
        File.Delete(file);
        Assert.True(await others.ExitCodeAsync() == 0, others.Output);
        Assert.False(_server.HasExited, _server.Output);
        var peak = _server.StatusBytes("VmHWM");
        Figures.Report(string.Create(
            CultureInfo.InvariantCulture,
            $"{name}, {Length.TotalSeconds} s: {work.Pulls.Count} pulls (p99 {Figures.Milliseconds(work.Pulls, 0.99)}, ")
            + $"without the attack {Figures.Milliseconds(quiet.Pulls, 0.99)}) and {work.Pushes.Count} pushes (p99 "
            + $"{Figures.Milliseconds(work.Pushes, 0.99)}, without {Figures.Milliseconds(quiet.Pushes, 0.99)}) right, {work.Again} of them "
            + string.Create(
                CultureInfo.InvariantCulture,
                $"asked again, {peak >> 20} MiB and {work.Files} open files at most, {share:F2} of a core, slowest pull ")
            + string.Create(
                CultureInfo.InvariantCulture,
                $"{work.Pulls.Max() / quiet.Pulls.Max():F1} and slowest push {work.Pushes.Max() / quiet.Pushes.Max():F1} times as long as ")
            + "the slowest without the attack");
        // The runtime's heap has 192 MiB at most. The rest is the program, its threads and buffers outside of it.
        Assert.InRange(peak, 0, 320L << 20);
    }

    /// <summary>Waits until the server has at most so many uploads open, now that the attackers have gone.</summary>
    private protected Task AssertOpenUploadsAsync(int max)
    {
        if (Attacks)
            return Task.CompletedTask;
        var open = int.MaxValue;
        return Until.TrueAsync(
            () =>
            {
                open = Directory.GetFiles($"/proc/{_server.Id}/fd")
                    .Count(file => new FileInfo(file).LinkTarget?.Contains("/_uploads/", StringComparison.Ordinal) == true);
                return Task.FromResult(open <= max);
            },
            () => $"{open} uploads are open.");
    }

    private async Task<(List<TimeSpan> Pulls, List<TimeSpan> Pushes, int Again, int Files)> WorkAsync(TimeSpan length)
    {
        var end = DateTime.UtcNow + length;
        List<TimeSpan> pulls = [], pushes = [];
        var (again, files) = (0, 0);
        await Task.WhenAll(
            [
                CountFilesAsync(),
                .. _layers.Select((layer, i) => RepeatAsync(i, pulls, async client =>
                    Assert.Equal(layer, await client.GetByteArrayAsync(Url(PathOf(layer)), Cancel)))),
                .. Enumerable.Range(0, Figures.Count(2, 5)).Select(i => RepeatAsync(i, pushes, client =>
                    PushAsync(client, $"local/lawful-{i}", RandomNumberGenerator.GetBytes(50_000)))),
            ]);
        return (pulls, pushes, again, files);

        async Task CountFilesAsync()
        {
            do
            {
                files = Math.Max(files, Directory.GetFiles($"/proc/{_server.Id}/fd").Length);
                await Task.Delay(500, Cancel);
            }
            while (DateTime.UtcNow < end);
        }

        async Task RepeatAsync(int number, List<TimeSpan> times, Func<HttpClient, Task> work)
        {
            do
                // A new connection each time, every other one from another address.
                for (var attempt = 1; ; attempt++)
                    try
                    {
                        using var client = Client(number % 2 == 0 ? IPAddress.Loopback : IPAddress.Parse("127.0.0.2"));
                        var started = TimeProvider.System.GetTimestamp();
                        await work(client);
                        lock (times)
                            times.Add(TimeProvider.System.GetElapsedTime(started));
                        break;
                    }
                    catch (Exception failure) when (failure is HttpRequestException or IOException && attempt < MaxAttempts)
                    {
                        Assert.False(_server.HasExited, _server.Output);
                        Interlocked.Increment(ref again);
                        TestContext.Current.TestOutputHelper?.WriteLine(failure.Message);
                        // As real clients do, wait longer each time.
                        await Task.Delay(Math.Min(100 * attempt, 1000), Cancel);
                    }
            while (DateTime.UtcNow < end);
        }
    }

    // The attackers know it, too.
    private static byte[] Layer(int number)
    {
        var bytes = new byte[300_000];
        Figures.Random(number).NextBytes(bytes);
        return bytes;
    }

    private static string PathOf(byte[] layer) => $"/v2/local/app/blobs/{Digest.Of(layer)}";

    private TimeSpan CpuTime()
    {
        using var server = Process.GetProcessById(_server.Id);
        return server.TotalProcessorTime;
    }

    private async Task AttackAsync(int attackers, Func<HttpClient, int, Task> attack)
    {
        using var crowd = Client(IPAddress.Loopback);
        crowd.DefaultRequestHeaders.Authorization = null;
        var attacks = Enumerable.Range(0, attackers).Select(i => AgainAsync(() => attack(crowd, i))).ToList();
        var file = Environment.GetEnvironmentVariable(AttackFile)!;
        await File.WriteAllBytesAsync(file, [], Cancel);
        while (File.Exists(file))
            await Task.Delay(100, Cancel);
        await _over.CancelAsync();
        await Task.WhenAll(attacks);
    }

    private async Task AgainAsync(Func<Task> attack)
    {
        while (!_over.IsCancellationRequested)
            try
            {
                await attack();
            }
            catch (Exception refused) when (refused is HttpRequestException or IOException or SocketException or AuthenticationException
                or OperationCanceledException)
            {
                await Task.Yield();
            }
    }

    private async Task PushAsync(HttpClient client, string repository, byte[] layer)
    {
        var digest = Digest.Of(layer);
        using var begun = (await client.PostAsync(Url($"/v2/{repository}/blobs/uploads/"), null, Cancel)).EnsureSuccessStatusCode();
        var upload = new Uri(Url("/"), begun.Headers.Location!);
        using var body = new ByteArrayContent(layer);
        using var patched = (await client.PatchAsync(upload, body, Cancel)).EnsureSuccessStatusCode();
        upload = new Uri(Url("/"), patched.Headers.Location!);
        var separator = upload.Query.Length > 0 ? '&' : '?';
        using var put = (await client.PutAsync(new Uri($"{upload}{separator}digest={digest}"), null, Cancel)).EnsureSuccessStatusCode();
        var types = new ImageTypes(Oci: true);
        var manifest = $$"""
            {"schemaVersion":2,"mediaType":"{{types.Manifest}}",
             "config":{"mediaType":"application/vnd.test.config","digest":"{{digest}}","size":{{layer.Length}}},"layers":[]}
            """;
        using var tag = new StringContent(manifest, null, types.Manifest);
        using var tagged = (await client.PutAsync(Url($"/v2/{repository}/manifests/1"), tag, Cancel)).EnsureSuccessStatusCode();
    }

    protected async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, Port, Over);
        return socket;
    }

    /// <summary>TLS over a connection, for bytes of the attacker's own.</summary>
    protected async Task<Stream> SecuredAsync(Socket socket)
    {
        var tls = new SslStream(new NetworkStream(socket), false, (_, presented, _, _) => presented is not null);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost" }, Over);
        return tls;
    }

    protected Uri Url(string path) => new($"{_scheme}://127.0.0.1:{Port}{path}");

    protected async Task StartAsync(bool tls, bool withLogins = false)
    {
        MirrorProcess.Availability.OrSkip();
        if (Availability.Of("prlimit") is { IsAvailable: false } missing)
            missing.OrSkip();
        var https = "";
        if (tls)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            using var certificate = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256)
                .CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
            var files = (_folder.Write("server.pem", certificate.ExportCertificatePem()),
                _folder.Write("server.key", key.ExportPkcs8PrivateKeyPem()));
            https = $"  tls:\n    certificate: {files.Item1}\n    key: {files.Item2}";
            _scheme = "https";
        }
        var config = _folder.Write("config.yml", $"""
            version: 0.1
            log:
              level: warn
              accesslog:
                disabled: true
            storage:
              filesystem:
                rootdirectory: {Root}
            hosted:
              repositories: ["local/**"]
            http:
              addr: 127.0.0.1:{Port}
            {https}
            {(withLogins ? PasswordFile.Section(_folder) : "")}
            """);
        if (Attacks)
            return;
        if (withLogins)
            _login = AuthenticationHeaderValue.Parse(PasswordFile.Basic("alice"));
        // What a container with 256 MiB tells the runtime.
        _server = PeerProcess.Start(
            "prlimit", ["--nofile=2048", "dotnet", MirrorProcess.Program, "serve", config],
            new Dictionary<string, string> { ["DOTNET_GCHeapHardLimit"] = "0xC000000" });
        await _server.UntilAsync(async () =>
        {
            try
            {
                using var client = Client(IPAddress.Loopback);
                return (await client.GetAsync(Url("/"), Cancel)).IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    // Over TLS, clients of one of the two addresses speak HTTP/2.
    private HttpClient Client(IPAddress from)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                socket.Bind(new IPEndPoint(from, 0));
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        // The test made the certificate of the server.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, presented, _, _) => presented is not null;
        return new HttpClient(handler)
        {
            Timeout = TimeSpan.FromMinutes(2),
            DefaultRequestHeaders = { Authorization = _login },
            DefaultRequestVersion = from.Equals(IPAddress.Loopback) ? HttpVersion.Version11 : HttpVersion.Version20,
        };
    }
}
