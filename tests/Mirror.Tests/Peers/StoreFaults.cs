using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mirror.Tests.Peers;

/// <summary>What goes wrong with the requests to a store, until a test orders something else.</summary>
public sealed class StoreFaults
{
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Func<HttpRequest, StoreFault?> _choose = _ => null;
    private TaskCompletionSource _change = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, (byte[] Last, bool IsNext)> _lists = new();
    private int _count;

    /// <summary>How many requests went wrong so far.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>Orders a fault for each request that comes from now on.</summary>
    public void Set(StoreFault fault) => Set(_ => fault);

    /// <summary>Orders a fault for the requests for which the function returns one. It may be called by several threads at once.</summary>
    public void Set(Func<HttpRequest, StoreFault?> choose)
    {
        Volatile.Write(ref _choose, choose);
        Interlocked.Exchange(ref _change, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }

    /// <summary>From now on all goes well. Requests that hang are cut off.</summary>
    public void Clear() => Set(_ => null);

    /// <summary>Cuts off every request that hangs, for the end of the server.</summary>
    public void End() => _end.TrySetResult();

    /// <param name="refuse">Writes the service's own answer for a status; null for an answer without a body.</param>
    public async Task ApplyAsync(HttpContext context, RequestDelegate next, Func<HttpContext, int, Task>? refuse = null)
    {
        var change = Volatile.Read(ref _change).Task;
        if (Volatile.Read(ref _choose)(context.Request) is not { } fault)
        {
            await next(context);
            return;
        }
        Interlocked.Increment(ref _count);
        switch (fault.Kind)
        {
            case StoreFaultKind.Status:
                context.Response.StatusCode = (int)fault.Amount;
                if (refuse is not null)
                    await refuse(context, (int)fault.Amount);
                return;
            case StoreFaultKind.Page:
                context.Response.StatusCode = (int)fault.Amount;
                context.Response.ContentType = "text/html; charset=utf-8";
                if (!HttpMethods.IsHead(context.Request.Method))
                    await context.Response.WriteAsync("<!doctype html><html>not the store</html>");
                return;
            case StoreFaultKind.Cut when fault.Amount < 0:
                context.Abort();
                return;
            case StoreFaultKind.Lost:
                var answer = context.Features.Get<IHttpResponseBodyFeature>()!;
                context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(new MemoryStream()));
                await next(context);
                context.Features.Set(answer);
                context.Abort();
                return;
            case StoreFaultKind.Late:
                await AnswerLateAsync(context, fault.Nothing!, next);
                return;
            case StoreFaultKind.Hang:
                await Task.WhenAny(change, _end.Task, Task.Delay(Timeout.Infinite, context.RequestAborted));
                context.Abort();
                return;
            default:
                context.Request.Body = new FaultyStream(context.Request.Body, fault, context);
                context.Features.Set<IHttpResponseBodyFeature>(
                    new StreamResponseBodyFeature(new FaultyStream(context.Response.Body, fault, context)));
                await next(context);
                return;
        }
    }

    // Every other answer to a list is the one before it. The first is that of a store in which nothing was written yet.
    private async Task AnswerLateAsync(HttpContext context, string nothing, RequestDelegate next)
    {
        var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        var (last, isNext) = _lists.GetValueOrDefault(target, (Encoding.UTF8.GetBytes(nothing), true));
        if (isNext)
        {
            _lists[target] = (last, false);
            context.Response.ContentType = nothing.StartsWith('<') ? "application/xml" : "application/json";
            await context.Response.Body.WriteAsync(last, context.RequestAborted);
            return;
        }
        using var body = new MemoryStream();
        var sent = context.Features.Get<IHttpResponseBodyFeature>()!;
        context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(body));
        await next(context);
        context.Features.Set(sent);
        if (context.Response.StatusCode == StatusCodes.Status200OK)
            _lists[target] = (body.ToArray(), true);
        await sent.Stream.WriteAsync(body.ToArray(), context.RequestAborted);
    }

    // A body that is slow, or ends the connection after its first bytes.
    private sealed class FaultyStream(Stream inner, StoreFault fault, HttpContext context) : Stream
    {
        private const int SlowPiece = 4096;

        private long _passed;

        public override bool CanRead => inner.CanRead;

        public override bool CanSeek => false;

        public override bool CanWrite => inner.CanWrite;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var most = await NextAsync(buffer.Length, cancellationToken);
            var read = await inner.ReadAsync(buffer[..most], cancellationToken);
            _passed += read;
            return read;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            while (!buffer.IsEmpty)
            {
                var most = await NextAsync(buffer.Length, cancellationToken);
                await inner.WriteAsync(buffer[..most], cancellationToken);
                await inner.FlushAsync(cancellationToken);
                _passed += most;
                buffer = buffer[most..];
            }
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        private async ValueTask<int> NextAsync(int length, CancellationToken cancellationToken)
        {
            if (fault.Kind is StoreFaultKind.Slow)
            {
                var piece = Math.Min(length, SlowPiece);
                await Task.Delay(TimeSpan.FromSeconds((double)piece / fault.Amount), cancellationToken);
                return piece;
            }
            if (_passed < fault.Amount)
                return (int)Math.Min(length, fault.Amount - _passed);
            context.Abort();
            throw new IOException("The test cut this connection.");
        }
    }
}

/// <summary>One fault of a store.</summary>
public sealed record StoreFault(StoreFaultKind Kind, long Amount)
{
    internal string? Nothing { get; private init; }

    public static StoreFault Hang { get; } = new(StoreFaultKind.Hang, 0);

    public static StoreFault Status(int status) => new(StoreFaultKind.Status, status);

    /// <summary>Something in front of the store answers with a page of HTML.</summary>
    public static StoreFault Page(int status) => new(StoreFaultKind.Page, status);

    /// <summary>The connection ends after this many bytes of the request's body or of the answer's. A shorter body passes whole.</summary>
    public static StoreFault CutAfter(long bytes) => new(StoreFaultKind.Cut, bytes);

    /// <summary>The connection ends before anything is answered.</summary>
    public static StoreFault Reset { get; } = new(StoreFaultKind.Cut, -1);

    /// <summary>The store does what the request asks for, and the connection ends before its answer.</summary>
    public static StoreFault Lost { get; } = new(StoreFaultKind.Lost, 0);

    /// <summary>A list does not show what was written last.</summary>
    /// <param name="nothing">The list of a store in which nothing is.</param>
    public static StoreFault Late(string nothing) => new(StoreFaultKind.Late, 0) { Nothing = nothing };

    /// <summary>The bodies of the request and of the answer pass at this rate.</summary>
    public static StoreFault Slow(long bytesPerSecond) => new(StoreFaultKind.Slow, bytesPerSecond);
}

/// <summary>How a request to a store goes wrong.</summary>
public enum StoreFaultKind
{
    Status,
    Page,
    Hang,
    Cut,
    Slow,
    Late,
    Lost,
}
