using System.Reflection;
using Mirror.Storage.Stores;

namespace Mirror.Tests.Push;

/// <summary>Any interface of an empty store. The first list of its repositories fails.</summary>
public class EmptyStore : DispatchProxy
{
    private bool _hasFailed;

    public static T Of<T>() where T : class => Create<T, EmptyStore>();

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        ArgumentNullException.ThrowIfNull(targetMethod);
        if (targetMethod.Name == nameof(IReferenceStore.ListRepositoriesAsync) && !_hasFailed)
        {
            _hasFailed = true;
            throw new IOException("The store is away.");
        }
        var type = targetMethod.ReturnType;
        return type.GetGenericTypeDefinition() != typeof(IAsyncEnumerable<>) ? Activator.CreateInstance(type)
            : typeof(AsyncEnumerable).GetMethod(nameof(AsyncEnumerable.Empty))!
                .MakeGenericMethod(type.GetGenericArguments()).Invoke(null, null);
    }
}
